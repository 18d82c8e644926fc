/** Makes names in a folder (a new file, a rename) outlive a power loss: without it only the files' bytes do. */
import { open } from "node:fs/promises"

export const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, "r")
  await folder.sync().finally(() => folder.close())
}
