import { assert, it } from "@effect/vitest"
import { mirrorIn } from "./debianPackage.ts"
import { versionIn } from "./findProgram.ts"

it.each([
  ["deb http://mirror.example/debian bookworm main", "http://mirror.example/debian"],
  ["deb [signed-by=/k.gpg arch=amd64] https://mirror.example/debian/ bookworm main", "https://mirror.example/debian/"],
  [
    "deb http://security.example/debian-security bookworm-security main\ndeb http://m.example/debian bookworm main",
    "http://m.example/debian"
  ],
  ["Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm", "http://mirror.example/debian"],
  ["deb http://archive.ubuntu.example/ubuntu jammy main", undefined],
  ["# deb http://commented.example/debian x main", undefined]
])("reads the machine's Debian mirror: %s", (sources, mirror) => {
  assert.strictEqual(mirrorIn(sources), mirror)
})

it.each([
  ["nats-server: v2.15.1", [2, 15]],
  ["Pebble version v2.10.0-1", [2, 10]],
  ["no number", undefined]
])("reads a version: %s", (text, version) => {
  assert.deepStrictEqual(versionIn(text) as unknown, version)
})
