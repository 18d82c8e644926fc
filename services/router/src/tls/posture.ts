/**
 * Which TLS the edge speaks (requirement E12).
 *
 * Owns: versions, suites, groups, options. AES-128-GCM stands first: 10 to 15 % of a full handshake and less per record than AES-256.
 */
import { constants } from "node:crypto"
import type { SecureContextOptions } from "node:tls"

export const posture = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ciphers: [
    ...["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"],
    ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
    ...["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"]
  ].join(":"),
  ecdhCurve: "X25519:P-256:P-384",
  honorCipherOrder: true,
  // No renegotiation (RFC 9325 §3.5), no compression (CRIME).
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
  /** Life of a session ticket in seconds: at most a day (E13). */
  sessionTimeout: 12 * 3600
} as const satisfies SecureContextOptions
