/**
 * Which host names are held, in memory, as the registry says.
 *
 * Owns: following the `hostnames` bucket. Leaves to the lifecycle: its content. As the edge does, it drops absent names only for a bucket
 * whose rebuild is complete: an empty or new bucket proves nothing.
 */
import { fromRegistryKey, parseHostname } from "@connect-domain/domain/Hostname.ts"
import { hostnames, metaKey, type RegistryMeta } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Context, Effect, Layer, Result, Stream } from "effect"

export class HeldHostnames extends Context.Service<
  HeldHostnames,
  {
    /** Undefined until the registry was read once. Any spelling of a name; a name of one label below a held wildcard counts. */
    readonly holds: (name: string) => boolean | undefined
    readonly size: () => number
  }
>()("gateway/HeldHostnames") {
  static readonly layer = Layer.effect(
    HeldHostnames,
    Effect.gen(function* () {
      const kv = yield* Kv
      const state = new Held()
      yield* kv.bucket(hostnames).watch.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event.type === "reset") state.reset()
            else if (event.type === "complete") state.complete()
            else if (event.key === metaKey) state.meta = event.value as RegistryMeta | undefined
            else state.set(event.key, event.value !== undefined && "status" in event.value && event.value.status === "held")
          })
        ),
        Effect.forkScoped
      )
      return HeldHostnames.of({ holds: (name) => state.holds(name), size: () => state.names.size })
    })
  )
}

class Held {
  names = new Set<string>()
  meta: RegistryMeta | undefined
  #fresh: Set<string> | undefined
  #loaded = false

  reset(): void {
    this.#fresh = new Set()
    this.meta = undefined
  }

  set(key: string, held: boolean): void {
    const name = fromRegistryKey(key)
    if (name === undefined) return
    if (held) {
      this.names.add(name)
      this.#fresh?.add(name)
    } else {
      this.names.delete(name)
      this.#fresh?.delete(name)
    }
  }

  complete(): void {
    if (this.#fresh !== undefined && this.meta?.complete === true) this.names = this.#fresh
    this.#fresh = undefined
    this.#loaded = true
  }

  holds(text: string): boolean | undefined {
    const parsed = parseHostname(text)
    if (Result.isFailure(parsed)) return false
    const name: string = parsed.success
    if (this.names.has(name) || this.names.has(`*.${name.slice(name.indexOf(".") + 1)}`)) return true
    return this.#loaded ? false : undefined
  }
}
