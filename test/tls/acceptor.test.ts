import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Acceptor } from "../../src/tls/acceptor.ts";
import { makeCertificate, specOf, tlsSpec } from "./certificates.ts";
import { Entry } from "./entry.ts";

const standard = await makeCertificate({ names: ["default.test"] });
const app = await makeCertificate({ names: ["app.example.com"] });
const wildcard = await makeCertificate({ names: ["*.example.com"] });
const spec = tlsSpec([specOf(standard), specOf(app), specOf(wildcard)]);

let entry: Entry;
before(async () => {
  entry = await Entry.open(new Acceptor(spec));
});
after(() => entry.close());

const shown = (raw: Buffer) => new X509Certificate(raw).fingerprint256.replaceAll(":", "").toLowerCase();

async function certificateFor(servername: string, to = entry) {
  const { socket, greeting } = await to.talk({ servername });
  const id = shown(socket.getPeerCertificate().raw);
  socket.destroy();
  return { id, greeting };
}

test("TL-17 an exact name is preferred to a wildcard, a wildcard to the default", async () => {
  assert.equal((await certificateFor("app.example.com")).id, specOf(app).id);
  assert.equal((await certificateFor("other.example.com")).id, specOf(wildcard).id);
  assert.equal((await certificateFor("a.b.example.com")).id, specOf(standard).id);
  assert.equal((await certificateFor("example.com")).id, specOf(standard).id);
});

test("TL-02 server names are compared without case", async () => {
  const { id, greeting } = await certificateFor("APP.Example.COM");
  assert.equal(id, specOf(app).id);
  assert.equal(greeting, "app.example.com default");
});

test("TL-01 without a server name the default certificate is shown", async () => {
  const { socket, greeting } = await entry.talk();
  assert.equal(shown(socket.getPeerCertificate().raw), specOf(standard).id);
  assert.equal(greeting, "undefined default");
  socket.destroy();
});

test("bytes travel both ways after the hello was read ahead", async () => {
  const { socket } = await entry.talk({ servername: "app.example.com" });
  const bytes = Buffer.alloc(1_000_000, "x");
  socket.write(bytes);
  let got = 0;
  for await (const chunk of socket) {
    got += chunk.length;
    if (got >= bytes.length) break;
  }
  assert.equal(got, bytes.length);
});

test("h2 is agreed on when the client offers it", async () => {
  const { socket } = await entry.talk({ ALPNProtocols: ["h2", "http/1.1"] });
  assert.equal(socket.alpnProtocol, "h2");
  assert.equal(entry.secured.at(-1)?.protocol, "h2");
  socket.destroy();
  await once(socket, "close");
});
