/**
 * Who made a certificate, read from the directory that its row names: pure.
 *
 * Owns: the two directories that are no URLs. Leaves to `Authorities.ts`: the CAs; to `imported/`: what callers bring.
 */
export const internalDirectory = "internal"
export const importedDirectory = "imported"

type Issued = { readonly directory: string }

export const isImported = ({ directory }: Issued): boolean => directory === importedDirectory

/** As callers see it. */
export const originOf = ({ directory }: Issued): "acme" | "internal" | "imported" =>
  directory === importedDirectory ? "imported" : directory === internalDirectory ? "internal" : "acme"
