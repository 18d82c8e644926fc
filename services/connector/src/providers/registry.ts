/**
 * The providers that this connector has an actor for: a literal map, so that what exists can be read here. A new provider is a folder of
 * the same files and one line.
 */
import type { Descriptor } from "@connect-domain/dns-provider/Descriptor.ts"
import { powerdns } from "./powerdns/descriptor.ts"
import { rfc2136 } from "./rfc2136/descriptor.ts"

export const registry: Readonly<Record<string, Descriptor>> = { powerdns, rfc2136 }

export const descriptorOf = (key: string): Descriptor | undefined => (Object.hasOwn(registry, key) ? registry[key] : undefined)
