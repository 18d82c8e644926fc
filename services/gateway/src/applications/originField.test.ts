import { makeAddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { expect, it } from "vitest"
import type { Settings } from "../Settings.ts"
import { checkOrigin } from "./originField.ts"

const settings = {
  sandbox: false,
  edge: "edge.example.com",
  edgeAddresses: ["1.1.1.1", "2606:4700::1111"],
  addresses: makeAddressPolicy([])
} as unknown as Settings["Service"]

it.each([
  ["https://app.example.com", undefined],
  ["https://app.example.com:8443", undefined],
  ["https://1.1.1.1:8443", undefined],
  ["https://1.1.1.1", "must not be this service itself"],
  ["http://1.1.1.1:80", "must not be this service itself"],
  ["https://[2606:4700::1111]", "must not be this service itself"],
  ["https://edge.example.com", "must not be this service itself"],
  ["https://app.example.com:22", "must not have port 22, which belongs to another protocol"],
  ["http://app.example.com:6667", "must not have port 6667, which belongs to another protocol"],
  ["https://app.example.com:0", "must not have port 0, at which nothing can be reached"]
])("%s: %s", (origin, message) => {
  expect(checkOrigin(settings, origin)).toEqual(message === undefined ? [] : [{ field: "origin", message }])
})
