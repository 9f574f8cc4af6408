import type { TransportOptions } from "../model/dynamic.ts";
import { versionsAndCiphers } from "../tls/options.ts";
import type { TransportTls } from "../upstream/transport.ts";

/** A transport's TLS in the words of the upstream side. Authorities and certificates are PEM by now. */
export function transportTls(options: TransportOptions): TransportTls {
  const { minVersion, maxVersion, ciphers } = versionsAndCiphers(options);
  return {
    serverName: options.serverName,
    insecureSkipVerify: options.insecureSkipVerify,
    ca: options.rootCAs,
    certificates: options.certificates.map(({ certFile, keyFile }) => ({ cert: certFile, key: keyFile })),
    ciphers,
    minVersion,
    maxVersion,
    peerCertUri: options.peerCertURI,
  };
}
