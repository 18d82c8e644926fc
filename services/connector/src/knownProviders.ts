/**
 * Who runs a zone's DNS, read from its name servers' names. A literal table; what each can do at an apex was read in the providers' own
 * documentation in 2026-11.
 *
 * Owns: detection for showing and advice. Leaves writing to `providers/`: a provider may stand here long before it has an actor, and a
 * wrong guess must cost no more than a wrong hint.
 */
import { registry } from "./providers/registry.ts"

export type KnownProvider = {
  readonly key: string
  readonly name: string
  readonly nameServers: RegExp
  readonly apexAlias: boolean
  readonly wildcard: boolean
}

const known = (key: string, name: string, nameServers: RegExp, apexAlias: boolean): KnownProvider => ({
  key,
  name,
  nameServers,
  apexAlias,
  wildcard: true
})

export const knownProviders: ReadonlyArray<KnownProvider> = [
  known("cloudflare", "Cloudflare", /\.ns\.cloudflare\.com$/, true),
  known("digitalocean", "DigitalOcean", /^ns[123]\.digitalocean\.com$/, false),
  known("gandi", "Gandi", /\.gandi\.net$/, true),
  known("desec", "deSEC", /^ns[12]\.desec\.(?:io|org)$/, false),
  known("hetzner", "Hetzner", /^(?:hydrogen|helium|oxygen)\.ns\.hetzner\.(?:com|de)$|\.first-ns\.de$|\.second-ns\.(?:de|com)$/, false),
  known("vercel", "Vercel", /^ns[12]\.vercel-dns\.com$/, true),
  known("dnsimple", "DNSimple", /\.dnsimple(?:-edge)?\.(?:com|net|org)$/, true),
  known("porkbun", "Porkbun", /\.(?:ns\.)?porkbun\.com$/, true),
  known("linode", "Linode", /^ns[1-5]\.linode\.com$/, false),
  known("vultr", "Vultr", /^ns[12]\.vultr\.com$/, false),
  known("namecom", "Name.com", /\.name\.com$/, true),
  known("godaddy", "GoDaddy", /\.domaincontrol\.com$/, false),
  known("ionos", "IONOS", /\.ui-dns\.(?:com|org|de|biz)$/, false),
  known("netlify", "Netlify", /\.nsone\.net$/, true),
  known("route53", "Amazon Route 53", /\.awsdns-\d+\.(?:com|net|org|co\.uk)$/, false),
  known("gcpdns", "Google Cloud DNS", /^ns-cloud-[a-e][1-4]\.googledomains\.com$/, false),
  known("azuredns", "Azure DNS", /\.azure-dns\.(?:com|net|org|info)$/, false),
  known("namecheap", "Namecheap", /\.(?:registrar-servers|namecheaphosting)\.com$/, true)
]

/** The provider of a zone, when all that is known of its name servers says so; undefined when none or several do. */
export const detectProvider = (nameServers: ReadonlyArray<string>): KnownProvider | undefined => {
  const own = Object.values(registry).flatMap((descriptor) =>
    descriptor.nameServers.map((pattern) => ({
      key: descriptor.key,
      name: descriptor.name,
      nameServers: pattern,
      apexAlias: descriptor.capabilities.apexAlias,
      wildcard: descriptor.capabilities.wildcard
    }))
  )
  const found = new Map(
    [...own, ...knownProviders]
      .filter((provider) => nameServers.some((name) => provider.nameServers.test(name)))
      .map((provider) => [provider.key, provider])
  )
  return found.size === 1 ? [...found.values()][0] : undefined
}
