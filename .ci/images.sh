#!/usr/bin/env bash
# Makes the images that tests need, from Debian and npm packages only, for machines that cannot pull any:
#   node:26-slim     what our Dockerfile starts from: a minimal Debian with the project's Node and npm
#   traefik/whoami   a small stand-in that says who it is and what it was sent
#   redis:7          Debian's redis-server and redis-cli
# Does nothing where the images are there already.
set -euo pipefail
cd "$(dirname "$0")/.."

docker="${DOCKER:-/usr/bin/docker}"
have() { "$docker" image inspect "$1" >/dev/null 2>&1; }

if ! have node:26-slim; then
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase --include=ca-certificates,libatomic1,libstdc++6 bookworm "$root" >"$root.log" 2>&1 || { tail "$root.log"; exit 1; }
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
  cp node_modules/node/bin/node "$root/usr/local/bin/node"
  npm_dir=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -r "$npm_dir" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
  # A build behind a proxy with its own certificate authority must trust what this machine trusts.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  tar -C "$root" -c . | "$docker" import \
    --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["node"]' - node:26-slim
fi

if ! have traefik/whoami; then
  "$docker" build --network host -t traefik/whoami -f - test/e2e <<'DOCKERFILE'
FROM node:26-slim
COPY whoami.mjs /whoami.mjs
EXPOSE 80
ENTRYPOINT ["node", "/whoami.mjs"]
DOCKERFILE
fi

if ! have redis:7; then
  root=$(mktemp -d)
  for program in redis-server redis-cli; do
    cp --parents --dereference "$(command -v "$program")" $(ldd "$(command -v "$program")" | grep -o '/[^ ]*') "$root"
  done
  tar -C "$root" -c . | "$docker" import --change 'EXPOSE 6379' \
    --change 'CMD ["redis-server", "--protected-mode", "no"]' - redis:7
  rm -rf "$root"
fi
