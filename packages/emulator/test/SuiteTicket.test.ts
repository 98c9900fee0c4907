import { assert, describe, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Fiber, Inspectable, Layer, Queue, Redacted, Stream } from "effect"
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Emulator, EmulatorServer, SuiteTicket } from "../src/index.js"
import * as Crypto from "../src/internal/crypto.js"
import { corpToken, json, SUITE, suiteTicket, suiteToken } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

const AES_KEY = "1234567890123456789012345678901234567890123"

// The platform's side with Node's own cryptography, and not with what the emulator uses: reference 8.1.
const key = Buffer.from(`${AES_KEY}=`, "base64")
const sign = (...parts: ReadonlyArray<string>) => createHash("sha1").update([...parts].sort().join("")).digest("hex")
const open = (encrypted: string) => {
  const cipher = createDecipheriv("aes-256-cbc", key, key.subarray(0, 16)).setAutoPadding(false)
  const padded = Buffer.concat([cipher.update(encrypted, "base64"), cipher.final()])
  const padding = padded.at(-1)!
  const size = padded.readUInt32BE(16)
  return {
    message: padded.subarray(20, 20 + size).toString(),
    owner: padded.subarray(20 + size, padded.length - padding).toString(),
    padding,
    length: padded.length
  }
}
const seal = (message: string, owner: string) => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(Buffer.byteLength(message))
  const plain = Buffer.concat([randomBytes(16), size, Buffer.from(message), Buffer.from(owner)])
  const padding = 32 - plain.length % 32
  const cipher = createCipheriv("aes-256-cbc", key, key.subarray(0, 16)).setAutoPadding(false)
  return Buffer.concat([cipher.update(Buffer.concat([plain, Buffer.alloc(padding, padding)])), cipher.final()])
    .toString("base64")
}
const acknowledge = (token: string, message = "success", owner = SUITE.suiteKey) => {
  const encrypt = seal(message, owner)
  return JSON.stringify({
    msg_signature: sign(token, "7", "nonce", encrypt),
    timeStamp: "7",
    nonce: "nonce",
    encrypt
  })
}

interface Received {
  readonly query: URLSearchParams
  readonly body: any
}

/** A server of the app's own: notes what comes, and answers what `respond` says, or not at all. */
const hook = (
  respond: (received: Received, count: number) => { readonly status?: number; readonly body: string } | undefined
) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ readonly server: Http.Server; readonly url: string; readonly received: Array<Received> }>(
        (ready) => {
          const received: Array<Received> = []
          const server = Http.createServer((request, response) => {
            let text = ""
            request.on("data", (data) => text += data)
            request.on("end", () => {
              const one = { query: new URL(request.url!, "http://x").searchParams, body: JSON.parse(text) }
              received.push(one)
              const answer = respond(one, received.length)
              if (answer === undefined) return
              response.writeHead(answer.status ?? 200, { location: "/elsewhere" }).end(answer.body)
            })
          })
          server.listen(
            0,
            "127.0.0.1",
            () =>
              ready({ server, received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?own=1` })
          )
        }
      )
    ),
    ({ server }) =>
      Effect.promise(() =>
        new Promise((done) => {
          server.close(done)
          server.closeAllConnections()
        })
      )
  )

describe("suite tickets (reference 1.6)", () => {
  it.effect("a new one ends the old one, and tokens go on", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const old = yield* suiteTicket()
      const token = json(yield* suiteToken).accessToken
      const push = yield* emulator.pushSuiteTicket("suitequickstart")
      assert.deepInclude(push, { delivery: "none", attempts: 0, suiteKey: "suitequickstart" })
      const ticket = Redacted.value(push.suiteTicket)
      assert.notStrictEqual(ticket, old)
      assert.strictEqual(yield* suiteTicket(), ticket)
      const refused = yield* corpToken("dingpartnercorp", { suiteTicket: old })
      assert.include(refused.body, "invalidSuiteTicket")
      assert.strictEqual((yield* corpToken("dingpartnercorp", { suiteTicket: ticket })).status, 200)
      assert.strictEqual(json(yield* suiteToken).expireIn, 7200)
      const info = yield* emulator.handle({
        method: "GET",
        path: "/v1.0/oauth2/apps/authInfo?authCorpId=dingpartnercorp",
        headers: { "x-acs-dingtalk-access-token": token }
      })
      assert.strictEqual(info.status, 200)
      for (const nobody of [emulator.pushSuiteTicket("suitenobody"), emulator.pushSuiteTicket("dingquickstart")]) {
        assert.deepInclude(yield* Effect.flip(nobody), { reason: "UnknownApplication", field: "suiteKey" })
      }
    }).pipe(fresh))

  it.effect("both shapes, and no secret before they are asked for", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const events = yield* emulator.subscribe
      yield* emulator.advance("1 second")
      yield* emulator.pushSuiteTicket()
      const event = yield* Queue.take(events)
      const ticket = yield* suiteTicket()
      assert.deepStrictEqual(SuiteTicket.toStream(event), {
        eventType: "suite_ticket",
        eventCorpId: "dingquickstartcorp",
        eventId: event.eventId,
        eventBornTime: 1000,
        eventUnifiedAppId: "suitequickstart-20001",
        data: { suiteTicket: ticket }
      })
      assert.strictEqual(
        JSON.stringify(SuiteTicket.toCallback(event)),
        `{"SuiteKey":"suitequickstart","EventType":"suite_ticket","TimeStamp":"1000","SuiteTicket":"${ticket}"}`
      )
      assert.notInclude(JSON.stringify(event) + Inspectable.toStringUnknown(event) + String(event.suiteTicket), ticket)
    }).pipe(Effect.scoped, fresh))

  it.effect("the stream hears what is pushed, in order, and pushes at once agree with the state", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const heard = yield* Effect.fork(Stream.runCollect(Stream.take(emulator.suiteTickets, 50)))
      yield* Effect.yieldNow()
      const pushes = yield* Effect.all(Array.from({ length: 50 }, () => emulator.pushSuiteTicket()), {
        concurrency: "unbounded"
      })
      const tickets = Chunk.toReadonlyArray(yield* Fiber.join(heard)).map(({ suiteTicket }) =>
        Redacted.value(suiteTicket)
      )
      assert.strictEqual(new Set(tickets).size, 50)
      assert.sameMembers(tickets, pushes.map(({ suiteTicket }) => Redacted.value(suiteTicket)))
      assert.strictEqual(tickets.at(-1), yield* suiteTicket())
    }).pipe(fresh))
})

describe("the callback", () => {
  it.scopedLive("plain JSON, until it is acknowledged", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const { received, url } = yield* hook((_, count) => ({ status: count < 3 ? 500 : 200, body: "" }))
      yield* emulator.setCallback({ url })
      const push = yield* emulator.pushSuiteTicket()
      assert.deepInclude(push, { delivery: "acknowledged", attempts: 3 })
      assert.deepStrictEqual(received.map(({ body }) => body), Array(3).fill(SuiteTicket.toCallback(push)))
      assert.strictEqual(received[0]!.query.toString(), "own=1")
    }).pipe(fresh))

  it.scopedLive("never acknowledged, gone, or led elsewhere: the ticket is new all the same", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const { received, url } = yield* hook(() => ({ status: 302, body: "" }))
      yield* emulator.setCallback({ url })
      const push = yield* emulator.pushSuiteTicket()
      assert.deepInclude(push, { delivery: "unacknowledged", attempts: 3 })
      assert.strictEqual(received.length, 3)
      assert.strictEqual(yield* suiteTicket(), Redacted.value(push.suiteTicket))
      yield* emulator.setCallback({ url: "http://127.0.0.1:1/" })
      assert.strictEqual((yield* emulator.pushSuiteTicket()).delivery, "unacknowledged")
      yield* emulator.setCallback(undefined)
      assert.strictEqual((yield* emulator.pushSuiteTicket()).delivery, "none")
    }).pipe(fresh))

  it.scopedLive("pushes at once arrive one after the other, and the last one is good", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      // The first attempt of each is refused: without order, a second attempt would come after the next ticket.
      const seen = new Set<string>()
      const { received, url } = yield* hook(({ body }) => {
        const known = seen.has(body.SuiteTicket)
        seen.add(body.SuiteTicket)
        return { status: known ? 200 : 500, body: "" }
      })
      yield* emulator.setCallback({ url })
      yield* Effect.all(Array.from({ length: 5 }, () => emulator.pushSuiteTicket()), { concurrency: "unbounded" })
      const tickets = received.map(({ body }) => body.SuiteTicket as string)
      assert.deepStrictEqual(
        tickets.filter((_, index) => index % 2 === 0),
        tickets.filter((_, index) => index % 2 === 1)
      )
      assert.strictEqual(tickets.at(-1), yield* suiteTicket())
    }).pipe(fresh))

  it.scopedLive("signed and encrypted, and acknowledged in the same way (reference 8.1)", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const answers = [
        "success",
        JSON.stringify({ msg_signature: "no", timeStamp: "7", nonce: "nonce", encrypt: seal("success", "x") }),
        acknowledge("hook-token-123")
      ]
      const { received, url } = yield* hook((_, count) => ({ body: answers[count - 1]! }))
      yield* emulator.setCallback({ url, token: Redacted.make("hook-token-123"), aesKey: Redacted.make(AES_KEY) })
      const push = yield* emulator.pushSuiteTicket()
      assert.deepInclude(push, { delivery: "acknowledged", attempts: 3 })
      for (const { body, query } of received) {
        assert.deepStrictEqual(Object.keys(body), ["encrypt"])
        const signature = sign("hook-token-123", query.get("timestamp")!, query.get("nonce")!, body.encrypt)
        assert.deepStrictEqual([query.get("signature"), query.get("msg_signature")], [signature, signature])
        const { length, message, owner, padding } = open(body.encrypt)
        assert.strictEqual(owner, SUITE.suiteKey)
        assert.strictEqual(length % 32, 0)
        assert.isTrue(padding >= 1 && padding <= 32)
        assert.deepStrictEqual(JSON.parse(message), SuiteTicket.toCallback(push))
      }
      assert.notInclude(JSON.stringify(yield* emulator.thirdPartyApplications), AES_KEY)
    }).pipe(fresh))

  it.scopedLive("another owner, another word, another token: not acknowledged", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const answers = [
        acknowledge("hook-token-123", "success", "suiteother"),
        acknowledge("hook-token-123", "failure"),
        acknowledge("other-token")
      ]
      const { url } = yield* hook((_, count) => ({ body: answers[count - 1]! }))
      yield* emulator.setCallback({ url, token: Redacted.make("hook-token-123"), aesKey: Redacted.make(AES_KEY) })
      assert.deepInclude(yield* emulator.pushSuiteTicket(), { delivery: "unacknowledged", attempts: 3 })
    }).pipe(fresh))

  it("the verified vector of reference 8.1", async () => {
    const encrypt = "YvkvaGe4hQxd3VxRmEty0dVlnCOAqwf56xwTRHDHoOURqhalbmBJQk5FNcRk42Gl5T0YQXZNwpwWSm1xAFJ5ZA=="
    const keys = { token: "123456", aesKey: AES_KEY, ownerKey: "dingsnotzck6pm5veliw" }
    const sealed = {
      signature: "9a95a004dd16f5c307e849b994173f76aa26e5eb",
      timestamp: "1614767836",
      nonce: "A7Co0cJLMzIDtMMI",
      encrypt
    }
    assert.strictEqual(await Crypto.open(keys, sealed), "success")
    assert.strictEqual(await Crypto.open({ ...keys, ownerKey: "other" }, sealed), undefined)
    assert.strictEqual(await Crypto.open(keys, { ...sealed, nonce: "x" }), undefined)
    assert.deepStrictEqual(open(encrypt), {
      message: "success",
      owner: "dingsnotzck6pm5veliw",
      padding: 17,
      length: 64
    })
  })
})

describe("over HTTP", () => {
  const dingtalk = EmulatorServer.layer().pipe(Layer.provideMerge(Emulator.layer()))

  it.scopedLive("an app that does not answer is asked again after 2.5 seconds", () =>
    Effect.gen(function*() {
      const base = (yield* EmulatorServer.EmulatorServer).url
      const { received, url } = yield* hook((_, count) => count === 1 ? undefined : { body: "" })
      const control = (path: string, body: unknown) =>
        Effect.promise(() =>
          fetch(`${base}/_emulator/${path}`, { method: "POST", body: JSON.stringify(body) })
            .then((response) => response.json() as Promise<any>)
        )
      yield* control("third-party/callback", { callback: { url } })
      const [took, push] = yield* Effect.timed(control("suite-tickets/push", {}))
      assert.deepInclude(push, { delivery: "acknowledged", attempts: 2 })
      assert.isAtLeast(Duration.toMillis(took), 2400)
      assert.strictEqual(received.length, 2)
    }).pipe(Effect.provide(dingtalk)), 30_000)

  it.live("another process pushes, mints codes, authorises and counts", () =>
    Effect.gen(function*() {
      const { url } = yield* EmulatorServer.EmulatorServer
      const call = (path: string, body?: unknown) =>
        Effect.promise(async () => {
          const response = await fetch(`${url}${path}`, {
            ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
            headers: { "content-type": "application/json" }
          })
          return { status: response.status, body: await response.text() }
        })
      const control = (path: string, body?: unknown) =>
        Effect.map(call(`/_emulator/${path}`, body), ({ body, status }) => {
          assert.strictEqual(status, 200, body)
          return JSON.parse(body)
        })
      const { suiteTicket: old } = yield* control("suite-tickets/current", {})
      const { delivery, suiteTicket } = yield* control("suite-tickets/push", { suiteKey: "suitequickstart" })
      assert.deepStrictEqual([delivery, typeof suiteTicket, suiteTicket === old], ["none", "string", false])
      const fetchToken = (authCorpId: string) =>
        call("/v1.0/oauth2/corpAccessToken", { ...SUITE, authCorpId, suiteTicket })
      yield* control("third-party/deauthorize", { corpId: "dingpartnercorp" })
      assert.include((yield* fetchToken("dingpartnercorp")).body, "invalidAuthInfo")
      yield* control("third-party/authorize", { corpId: "dingpartnercorp", permissions: ["qyapi_get_member"] })
      const token = JSON.parse((yield* fetchToken("dingpartnercorp")).body).accessToken
      yield* fetchToken("dingquickstartcorp")
      yield* control("users/add", { corpId: "dingpartnercorp", userid: "ann", unionid: "u-ann", name: "Ann" })
      const { code } = yield* control("codes/in-client", {
        userid: "ann",
        clientId: "suitequickstart",
        corpId: "dingpartnercorp"
      })
      const who = yield* call(`/topapi/v2/user/getuserinfo?access_token=${token}`, { code })
      assert.strictEqual(JSON.parse(who.body).result.name, "Ann")
      const sso = yield* control("codes/sso", { userid: "zhangsan" })
      assert.match(sso.code, /^[0-9a-f]{32}$/)
      yield* control("organizations/add", {
        corpId: "dingnew",
        corpName: "New",
        applications: [],
        users: [{ userid: "zhangsan", unionid: "n1", name: "New Zhang" }],
        ssoSecret: "new-sso-secret"
      })
      yield* control("third-party/add", {
        suiteKey: "suitenew",
        suiteSecret: "new-suite-secret",
        authorizedBy: [{ corpId: "dingnew" }],
        callback: { url: "http://127.0.0.1:1/", token: "new-hook-token", aesKey: AES_KEY }
      })
      yield* control("third-party/callback", { suiteKey: "suitenew", callback: null })
      yield* control("applications/add", { clientId: "dingnewapp", clientSecret: "new-app-secret", corpId: "dingnew" })
      const count = (query: string) => Effect.map(control(`requests/count?${query}`), ({ count }) => count)
      assert.strictEqual(yield* count("endpoint=oauth2.getCorpAccessToken&clientId=suitequickstart"), 3)
      assert.strictEqual(
        yield* count("endpoint=oauth2.getCorpAccessToken&clientId=suitequickstart&corpId=dingpartnercorp"),
        2
      )
      assert.strictEqual(yield* count("clientId=nobody"), 0)
      const { tallies } = yield* control("requests/tallies")
      assert.deepInclude(tallies, {
        endpoint: "contact.getUserInfo",
        clientId: "suitequickstart",
        corpId: "dingpartnercorp",
        count: 1
      })
      const state = yield* call("/_emulator/state")
      assert.include(state.body, "\"authorizations\":2")
      const { body: log } = yield* call("/_emulator/requests")
      for (const shown of [state.body, log]) {
        for (
          const hidden of [
            SUITE.suiteSecret,
            suiteTicket,
            old,
            token,
            code,
            sso.code,
            "new-sso-secret",
            "new-suite-secret",
            "new-app-secret",
            "quickstart-sso-secret"
          ]
        ) assert.notInclude(shown, hidden)
      }
      for (
        const [path, body, field] of [
          ["suite-tickets/push", { suiteKey: "nobody" }, "suiteKey"],
          ["third-party/authorize", { corpId: "nobody" }, "corpId"],
          ["third-party/deauthorize", { corpId: "nobody" }, "corpId"],
          ["third-party/callback", { callback: { url: "https://example.com/" } }, "callback.url"],
          ["codes/in-client", { userid: "nobody" }, "userid"],
          ["codes/sso", { userid: "zhangsan", corpId: "nobody" }, "corpId"],
          ["organizations/add", { corpId: "dingnew", corpName: "", applications: [], users: [] }, "corpId"],
          ["third-party/add", { suiteKey: "suitenew", suiteSecret: "x" }, "suiteKey"]
        ] as const
      ) {
        const answer = yield* call(`/_emulator/${path}`, body)
        assert.deepStrictEqual([answer.status, JSON.parse(answer.body).field], [400, field], answer.body)
      }
    }).pipe(Effect.provide(dingtalk)))
})
