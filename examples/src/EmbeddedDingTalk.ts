/**
 * The Layers of the examples: a DingTalk on this machine, and a client that talks to it over loopback.
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Hosts } from "@effect-dingtalk/core"
import { Emulator, EmulatorServer } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer, Redacted } from "effect"

/** The emulator, its server, and a transport to it; who calls is still open. */
export const platform = Layer.unwrapEffect(
  Effect.gen(function*() {
    const { url } = yield* EmulatorServer.EmulatorServer
    const hosts = yield* Hosts.single(url)
    return HttpTransport.layer({ hosts })
  })
).pipe(
  Layer.provide(NodeHttpClient.layerUndici),
  Layer.provideMerge(EmulatorServer.layer({ port: 0 })),
  Layer.provideMerge(Emulator.layer())
)

/** As the app of the emulator's own organisation. */
export const layer = DingTalkHttp.layer().pipe(
  Layer.provideMerge(TokenService.layer({
    clientId: "dingquickstart",
    clientSecret: Redacted.make("quickstart-secret")
  })),
  Layer.provideMerge(platform)
)
