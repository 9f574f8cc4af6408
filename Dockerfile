# Two stages: the first has the tools, the second what runs.
FROM node:26-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# Install scripts are left out: they would fetch a second Node, which this image has already.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY scripts ./scripts
COPY bin ./bin
COPY src ./src
RUN node scripts/build.ts && npm prune --omit=dev --ignore-scripts

FROM node:26-slim
LABEL org.opencontainers.image.title="Waybill" \
      org.opencontainers.image.description="Label a container and it is routed, protected and served over HTTPS." \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production WAYBILL_USER=65532
COPY --from=build /src/package.json /app/package.json
COPY --from=build /src/node_modules /app/node_modules
COPY --from=build /src/bin /app/bin
COPY --from=build /src/dist /app/dist
# `traefik` is a name for the same program, so that health checks of existing compose files work.
RUN ln -s /app/bin/waybill.js /usr/local/bin/waybill && ln -s /app/bin/waybill.js /usr/local/bin/traefik
# Where certificates are kept unless a resolver says otherwise; a volume mounted here starts with these rights.
RUN install -d -m 700 -o 65532 -g 65532 /acme
EXPOSE 80 443
# Starts as root only to read the Docker socket's group and the certificates' owner, then becomes user 65532 before
# the first connection is accepted. With `user:` set it starts as that user and stays so.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["waybill", "healthcheck"]
ENTRYPOINT ["waybill"]
