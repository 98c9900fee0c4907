/**
 * What is tried again, when, and what never is: the rows of the reference's sections 4 and 5 as literal answers, through
 * the real transport.
 */
import { Contact, DingTalk, DingTalkError, Endpoint, Hosts, TokenService, Transport } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient, Fault } from "@effect-dingtalk/emulator"
import { DingTalkHttp, DingTalkMetrics, HttpTransport, Limiter, Retry } from "@effect-dingtalk/http"
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Duration,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Random,
  Redacted,
  Schema,
  Supervisor,
  TestClock
} from "effect"

const payload = Schema.Struct({ id: Schema.String })
const success = Schema.Struct({ ok: Schema.Boolean })

const read = DingTalk.call(
  Endpoint.oapi("todo.read", { path: "/topapi/todo/read", payload, success, idempotent: true })
)({ id: "1" })
const write = DingTalk.call(Endpoint.oapi("todo.write", { path: "/topapi/todo/write", payload, success }))({ id: "1" })
const readNew = DingTalk.call(
  Endpoint.api("todo.readNew", { method: "GET", path: "/v1.0/todo/tasks", payload, success })
)({ id: "1" })
const writeNew = DingTalk.call(
  Endpoint.api("todo.writeNew", { method: "POST", path: "/v1.0/todo/tasks", payload, success })
)({ id: "1" })

const FINE_OAPI = Fault.respond({ body: `{"errcode":0,"errmsg":"ok","result":{"ok":true}}` })
const FINE_API = Fault.respond({ body: `{"ok":true}` })

// The clock of the sentences that were seen.
const NOW = Date.parse("2026-09-03T00:01:02+08:00")

const TestLayer = (options?: DingTalkHttp.Options) =>
  DingTalkHttp.layer(options).pipe(
    Layer.provide(TokenService.layerTest()),
    Layer.provide(HttpTransport.layer()),
    Layer.provide(EmulatorHttpClient.layer),
    Layer.provideMerge(Emulator.layer())
  )

/** Answers the first request with this, and all others well; tells how it went, and how long it took. */
const answeredFirstWith = <A, E>(
  fault: Fault.Fault,
  call: Effect.Effect<A, E, DingTalk.DingTalk>,
  times = 1
) =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    yield* TestClock.setTime(NOW)
    yield* emulator.failNext(fault, { times })
    yield* emulator.failNext(FINE_OAPI, { matching: { path: "/topapi/todo/read" }, times: 100 })
    yield* emulator.failNext(FINE_OAPI, { matching: { path: "/topapi/todo/write" }, times: 100 })
    yield* emulator.failNext(FINE_API, { matching: { path: "/v1.0/todo/tasks" }, times: 100 })
    const fiber = yield* Effect.fork(Effect.zip(Effect.either(call), Clock.currentTimeMillis))
    yield* TestClock.adjust("31 seconds")
    const [result, end] = yield* Fiber.join(fiber)
    return {
      outcome: Either.isRight(result) ? "success" : (result.left as { readonly _tag: string })._tag,
      error: Either.isLeft(result) ? result.left as DingTalkError.DingTalkError : undefined,
      took: end - NOW,
      sent: yield* emulator.count()
    }
  })

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

/** A client of the platform that answers so, as long as there are answers, and well from then on. */
const answering = (answer: (request: number) => Answer | undefined, options?: DingTalkHttp.Options) => {
  let sent = 0
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      const { body, ...init } = answer(sent++) ??
        { status: 200, headers: {}, body: `{"errcode":0,"ok":true,"result":{"ok":true}}` }
      return HttpClientResponse.fromWeb(request, new Response(body, init))
    })
  )
  return {
    sent: () => sent,
    layer: DingTalkHttp.layer(options).pipe(
      Layer.provide(TokenService.layerTest()),
      Layer.provide(HttpTransport.layer()),
      Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
    )
  }
}

const only = (answer: Answer) => (request: number) => request === 0 ? answer : undefined

const JITTER = 200

const refusal = (code: number, message = "x") =>
  JSON.stringify({
    errcode: 88,
    sub_code: String(code),
    sub_msg: message,
    errmsg: `ding talk error[subcode=${code},submsg=${message}]`
  })
const flat = (code: number, message = "x") => JSON.stringify({ errcode: code, errmsg: message })
const modern = (code: string, message = "x") => JSON.stringify({ requestid: "r", code, message })

const SEEN_90002 =
  "当前所有钉钉应用调用该接口次数过多，超出了该接口承受的最大qps，请求被暂时限制了，建议错开整点时刻调用该接口, " +
  "apiPath(dingtalk.oapi.v2.department.listsub), 从 2026-09-03 00:01:02 到 2026-09-03 00:01:02 请求总次数超过 1200 次, " +
  "限制将在 2026-09-03 00:01:03 结束."
const SEEN_2018 =
  "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了, apiPath(x), 从 2026-09-03 00:01:01 到 2026-09-03 00:01:02 " +
  "请求总次数超过了 100 次, 处罚将在 2026-09-03 00:01:07 结束."
const DENIED = "Forbidden.AccessDenied"

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe("a throttle is waited for, whatever the call does", () => {
  const rows: ReadonlyArray<readonly [name: string, gateway: "oapi" | "api", Fault.Fault, wait: number]> = [
    ["90018 with its end", "oapi", Fault.throttled, 1000],
    ["90018 flat, with its end", "oapi", Fault.respond({ body: flat(90018, SEEN_90002) }), 1000],
    ["90002 as it was seen", "oapi", Fault.respond({ body: refusal(90002, SEEN_90002) }), 1000],
    ["90002 as it was seen in 2018", "oapi", Fault.respond({ body: refusal(90002, SEEN_2018) }), 5000],
    ...[...range(90001, 90014), ...range(90017, 90019), 45009].flatMap((code) => [
      [`${code} below 88`, "oapi", Fault.respond({ body: refusal(code) }), 1000] as const,
      [`${code} flat`, "oapi", Fault.respond({ body: flat(code) }), 1000] as const
    ]),
    ["90002 flat, as it was seen", "oapi", Fault.respond({ body: flat(90002, SEEN_90002) }), 1000],
    ["90019 with its end", "oapi", Fault.respond({ body: refusal(90019, SEEN_2018) }), 5000],
    ...["Appkey", "Suitekey"].flatMap((key) =>
      ["Qps", "Qpm"].map((per) => {
        const code = `${DENIED}.${per}LimitFor${key}${key === "Appkey" ? "" : "AndOrg"}AndApi`
        return [`403 ${code}`, "api", Fault.respond({ status: 403, body: modern(code) }), 1000] as const
      })
    ),
    ["403 QpsLimitForApi", "api", Fault.respond({ status: 403, body: modern(`${DENIED}.QpsLimitForApi`) }), 1000],
    [
      "429 system.busy",
      "api",
      Fault.respond({ status: 429, body: modern("system.busy", "system busy, request too frequest") }),
      1000
    ],
    ["400 request.overlimit", "api", Fault.respond({ status: 400, body: modern("request.overlimit") }), 1000],
    ["400 qps.exceed.limit", "api", Fault.respond({ status: 400, body: modern("qps.exceed.limit") }), 1000],
    ...(["oapi", "api"] as const).flatMap((gateway) =>
      [
        ["no body", ""],
        ["a page", "<html>slow down</html>"],
        ["a word", "busy"],
        ["cut JSON", `{"code":"system.bu`],
        ["null", "null"],
        ["a list", "[]"],
        ["an empty object", "{}"],
        ["errcode 0", `{"errcode":0,"errmsg":"ok"}`],
        ["a dash for a code", modern("-")],
        ["a code that nobody knows", modern("Throttling.User")],
        ["90018", flat(90018)],
        ["QpsLimitForApi", modern(`${DENIED}.QpsLimitForApi`)]
      ].map(([name, body]) => [`429 with ${name}`, gateway, Fault.respond({ status: 429, body: body! }), 1000] as const)
    )
  ]
  for (const [name, gateway, fault, wait] of rows) {
    for (
      const [what, call] of gateway === "oapi" ? [["read", read], ["write", write]] as const : [
        ["read", readNew],
        ["write", writeNew]
      ] as const
    ) {
      it.effect(`${name}, ${what} (${gateway})`, () =>
        Effect.gen(function*() {
          const { outcome, sent, took } = yield* answeredFirstWith(fault, call)
          assert.deepStrictEqual([outcome, sent], ["success", 2])
          assert.isAtLeast(took, wait)
          assert.isAtMost(took, wait + JITTER)
        }).pipe(Effect.provide(TestLayer())))
    }
  }

  it.effect("again and again for longer: 1, 2, 4 seconds", () =>
    Effect.gen(function*() {
      const { outcome, sent, took } = yield* answeredFirstWith(Fault.respond({ body: flat(90018) }), write, 3)
      assert.deepStrictEqual([outcome, sent], ["success", 4])
      assert.isAtLeast(took, 7000)
      assert.isAtMost(took, 7000 + JITTER * 7)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("without the limiter as well", () =>
    Effect.gen(function*() {
      const { outcome, sent, took } = yield* answeredFirstWith(Fault.throttled, write)
      assert.deepStrictEqual([outcome, sent], ["success", 2])
      assert.isAtLeast(took, 1000)
    }).pipe(Effect.provide(TestLayer({ limiter: false }))))

  it.effect("but not with `retry: false`, where it is the caller's to see", () =>
    Effect.gen(function*() {
      const { error, sent, took } = yield* answeredFirstWith(Fault.throttled, read)
      assert(error?._tag === "RateLimited")
      assert.deepStrictEqual([error.dimension, sent, took], ["AppAndApi", 1, 0])
    }).pipe(Effect.provide(TestLayer({ retry: false }))))
})

const BUSY: ReadonlyArray<readonly [name: string, gateway: "oapi" | "api", Fault.Fault]> = [
  ...[-1, 400001, 15].flatMap((code) => [
    [`${code} flat`, "oapi", Fault.respond({ body: flat(code) })] as const,
    [`${code} below 88`, "oapi", Fault.respond({ body: refusal(code) })] as const
  ]),
  ["-1 in the emulator's words", "oapi", Fault.busy],
  ...["systemError", "system.busy", "systemBusy", "unknownError", "internalError", "server.error"].map((code) =>
    [`500 ${code}`, "api", Fault.respond({ status: 500, body: modern(code) })] as const
  ),
  ["503 with a dash", "api", Fault.busy],
  ["503 without a body", "api", Fault.respond({ status: 503, body: "" })],
  ["502 with a page", "oapi", Fault.respond({ status: 502, body: "<html>Bad Gateway</html>" })],
  ["504 service.timeout", "api", Fault.respond({ status: 504, body: modern("service.timeout") })]
]

describe("a busy platform is tried again where a second time does no harm, and only there", () => {
  for (const [name, gateway, fault] of BUSY) {
    it.effect(`${name}: read`, () =>
      Effect.gen(function*() {
        const { outcome, sent, took } = yield* answeredFirstWith(fault, gateway === "oapi" ? read : readNew)
        assert.deepStrictEqual([outcome, sent], ["success", 2])
        assert.isAtMost(took, JITTER)
      }).pipe(Effect.provide(TestLayer())))

    it.effect(`${name}: write, exactly one request`, () =>
      Effect.gen(function*() {
        const { outcome, sent } = yield* answeredFirstWith(fault, gateway === "oapi" ? write : writeNew)
        assert.deepStrictEqual([outcome, sent], ["Unavailable", 1])
      }).pipe(Effect.provide(TestLayer())))
  }

  it.effect("three times in all", () =>
    Effect.gen(function*() {
      const { outcome, sent, took } = yield* answeredFirstWith(Fault.busy, read, 10)
      assert.deepStrictEqual([outcome, sent], ["Unavailable", 3])
      assert.isAtMost(took, JITTER * 3)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("or as often as the options say", () =>
    Effect.gen(function*() {
      const { outcome, sent } = yield* answeredFirstWith(Fault.busy, read, 5)
      assert.deepStrictEqual([outcome, sent], ["success", 6])
    }).pipe(Effect.provide(TestLayer({ retry: { attempts: 6 } }))))

  it.effect("or as a policy of one's own says, within the deadline", () =>
    Effect.gen(function*() {
      const { outcome, sent, took } = yield* answeredFirstWith(Fault.busy, write, 2)
      assert.deepStrictEqual([outcome, sent, took], ["success", 3, 14_000])
    }).pipe(Effect.provide(TestLayer({ retry: { policy: () => "7 seconds" } }))))
})

describe("exactly one request, and the error at once", () => {
  const rows: ReadonlyArray<readonly [name: string, gateway: "oapi" | "api", Fault.Fault, tag: string]> = [
    ["the month's quota, 90020 flat", "oapi", Fault.quotaExhausted, "QuotaExhausted"],
    [
      "the month's quota, 90020 below 88",
      "oapi",
      Fault.respond({ body: refusal(90020, "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次") }),
      "QuotaExhausted"
    ],
    ["the month's quota, ApiCountLimitForOrg", "api", Fault.quotaExhausted, "QuotaExhausted"],
    ["a ban, JSON", "oapi", Fault.ipBanned("json"), "IpBanned"],
    ["a ban, JSON", "api", Fault.ipBanned("json"), "IpBanned"],
    ["a ban, page", "oapi", Fault.ipBanned("html"), "IpBanned"],
    ["a ban, page", "api", Fault.ipBanned("html"), "IpBanned"],
    ["credentials, 40096", "oapi", Fault.respond({ body: flat(40096) }), "InvalidCredentials"],
    [
      "credentials, invalidClientIdOrSecret",
      "api",
      Fault.respond({ status: 400, body: modern("invalidClientIdOrSecret") }),
      "InvalidCredentials"
    ],
    ["permission, 60011", "oapi", Fault.respond({ body: refusal(60011) }), "PermissionDenied"],
    [
      "permission, AccessTokenPermissionDenied",
      "api",
      Fault.respond({ status: 403, body: modern(`${DENIED}.AccessTokenPermissionDenied`) }),
      "PermissionDenied"
    ],
    ["the white list, 60020", "oapi", Fault.ipNotAllowed("1.2.3.4"), "IpNotAllowed"],
    ["the white list, IpNotInWhiteList", "api", Fault.ipNotAllowed("1.2.3.4"), "IpNotAllowed"],
    ["the contact range, 50002", "oapi", Fault.respond({ body: flat(50002) }), "OutOfScope"],
    ["a parameter, 40035", "oapi", Fault.respond({ body: flat(40035) }), "InvalidRequest"],
    ["a code that nobody knows", "oapi", Fault.respond({ body: flat(987654) }), "ApiError"],
    ["a page with 200", "oapi", Fault.respond({ body: "<html>hotel Wi-Fi</html>" }), "TransportError"],
    ["a wrong shape", "api", Fault.respond({ body: `{"ok":{}}` }), "TransportError"],
    // Blocked for 10 minutes, which no call waits for (reference 7.2).
    ...[410100, 660026, 90030].map((code) =>
      [`a robot's limit, ${code}`, "oapi", Fault.respond({ body: flat(code) }), "RateLimited"] as const
    ),
    ...[...range(143103, 143106), ...range(143203, 143206), ...range(1430000, 1430004)].map((code) =>
      [`a work notice's flow control, ${code}`, "oapi", Fault.respond({ body: flat(code) }), "RateLimited"] as const
    )
  ]
  for (const [name, gateway, fault, tag] of rows) {
    it.effect(`${name} (${gateway})`, () =>
      Effect.gen(function*() {
        const { outcome, sent, took } = yield* answeredFirstWith(fault, gateway === "oapi" ? read : readNew)
        assert.deepStrictEqual([outcome, sent, took], [tag, 1, 0])
      }).pipe(Effect.provide(TestLayer())))
  }
})

const GUARD_PAGE = `<html><script src="/_____tmd_____/punish?x5secdata=xxx&x5step=1"></script></html>`

describe("a ban of this machine's address, as a page", () => {
  const rows = [
    ["in the emulator's words", Fault.ipBanned("html")],
    ["with 200", Fault.respond({ body: GUARD_PAGE })],
    ["with 429", Fault.respond({ status: 429, body: GUARD_PAGE })],
    [
      "with 503 and a time of its own",
      Fault.respond({ status: 503, headers: { "retry-after": "1" }, body: GUARD_PAGE })
    ]
  ] as const
  for (
    const [gateway, call, others] of [["oapi", read, [read, write, readNew]], ["api", readNew, [
      readNew,
      read
    ]]] as const
  ) {
    for (const [name, fault] of rows) {
      it.effect(`${name} (${gateway}): nothing more is sent to either gateway for 5 minutes`, () =>
        Effect.gen(function*() {
          const emulator = yield* Emulator.Emulator
          const { outcome, sent, took } = yield* answeredFirstWith(fault, call)
          assert.deepStrictEqual([outcome, sent, took], ["IpBanned", 1, 0])
          // 31 seconds of it are over.
          for (let left = 269; left > 0; left -= 67) {
            for (const other of others) {
              const error = yield* Effect.flip(other)
              assert(error._tag === "IpBanned")
              assert.strictEqual(Duration.toSeconds(error.retryAfter), left)
            }
            yield* TestClock.adjust(Math.min(left, 67) * 1000)
          }
          yield* TestClock.adjust(-1)
          assert.strictEqual(yield* emulator.count(), 1)
          yield* TestClock.adjust(1)
          for (const other of others) assert.isTrue((yield* other).ok)
          assert.strictEqual(yield* emulator.count(), 1 + others.length)
        }).pipe(Effect.provide(TestLayer())))
    }
  }
})

describe("Retry-After", () => {
  const rows = [
    ["seconds", "3", { wait: 3000 }],
    ["a date", "Wed, 02 Sep 2026 16:01:06 GMT", { wait: 4000 }],
    ["a date as of RFC 850", "Wednesday, 02-Sep-26 16:01:06 GMT", { wait: 4000 }],
    ["a date as of asctime", "Wed Sep  2 16:01:06 2026", { wait: 4000 }],
    ["a date that is over", "Wed, 02 Sep 2026 16:00:00 GMT", { wait: 0 }],
    ["nothing to wait for", "0", { wait: 0 }],
    ["a number below 0", "-5", undefined],
    ["a fraction", "1.5", undefined],
    ["a word and a zone", "foo 1 GMT", undefined],
    ["a date of no zone", "2026-09-02 16:01:06", undefined],
    ["an absurd time", "99999999", "at once"],
    ["an absurd date", "Fri, 31 Dec 9999 23:59:59 GMT", "at once"],
    ["more than the deadline has left", "30", "at once"]
  ] as const
  for (
    const [status, gateway, call] of [[429, "api", readNew], [503, "api", readNew], [429, "oapi", read], [
      503,
      "oapi",
      read
    ]] as const
  ) {
    for (const [name, header, expected] of rows) {
      it.effect(`${status} with ${name} (${gateway})`, () =>
        Effect.gen(function*() {
          const fault = Fault.respond({ status, headers: { "retry-after": header }, body: "" })
          const { outcome, sent, took } = yield* answeredFirstWith(fault, call)
          if (expected === "at once") {
            assert.deepStrictEqual([outcome, sent, took], [status === 429 ? "RateLimited" : "Unavailable", 1, 0])
          } else {
            const wait = expected?.wait ?? (status === 429 ? 1000 : 0)
            assert.deepStrictEqual([outcome, sent], ["success", 2])
            assert.isAtLeast(took, wait)
            assert.isAtMost(took, wait + JITTER)
          }
        }).pipe(Effect.provide(TestLayer())))
    }

    for (const [name, header, wait] of [["a stated time", "5", 5000], ["a stated 0", "0", 0]] as const) {
      it.effect(`${status} with ${name}: 15 callers do not come back at the same moment (${gateway})`, () =>
        Effect.gen(function*() {
          const emulator = yield* Emulator.Emulator
          yield* TestClock.setTime(NOW)
          yield* emulator.failNext(Fault.respond({ status, headers: { "retry-after": header }, body: "" }), {
            times: 15
          })
          yield* emulator.failNext(gateway === "oapi" ? FINE_OAPI : FINE_API, { times: 15 })
          // One value for each of them, all along from 0 to 1.
          const random = Random.fixed(
            [0, ...range(1, 14)].map((i) => (i * 7 % 15 + 0.5) / 15) as [number, ...Array<number>]
          )
          const all = yield* Effect.forEach(Array.from({ length: 15 }), () => call, { concurrency: "unbounded" }).pipe(
            Effect.withRandom(random),
            Effect.fork
          )
          yield* TestClock.adjust("10 seconds")
          yield* Fiber.join(all)
          const log = yield* emulator.requests
          const again = log.map(({ at }) => at - NOW).filter((at) => at > 0)
          assert.deepStrictEqual([log.length, again.length], [30, 15])
          assert.isAbove(Math.min(...again), wait)
          assert.strictEqual(new Set(again).size, 15)
          assert.isAbove(Math.max(...again) - Math.min(...again), JITTER / 2)
        }).pipe(Effect.provide(TestLayer({ limiter: false }))))
    }
  }

  it.effect("a throttle that is over at once, each time, is not asked without a pause", () =>
    Effect.gen(function*() {
      const fault = Fault.respond({ status: 429, headers: { "retry-after": "0" }, body: "" })
      const { sent, took } = yield* answeredFirstWith(fault, readNew, 1000)
      assert.isAbove(took, 1000)
      assert.isBelow(sent, 40)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("an absurd one does not stop the lane for good", () =>
    Effect.gen(function*() {
      const fault = Fault.respond({ status: 429, headers: { "retry-after": "99999999" }, body: "" })
      assert.strictEqual((yield* answeredFirstWith(fault, readNew)).outcome, "RateLimited")
      yield* TestClock.adjust("30 seconds")
      assert.isTrue((yield* readNew).ok)
    }).pipe(Effect.provide(TestLayer())))
})

describe("the end of a penalty", () => {
  const DATE = "Wed, 02 Sep 2026 16:01:02 GMT"
  const stating = (end: string) => `请求总次数超过 20 次, 限制将在 ${end} 结束.`
  // Only what calls itself a date of today is believed.
  const dates: ReadonlyArray<readonly [name: string, headers: Record<string, string>]> = [
    ["no Date", {}],
    ["a Date", { date: DATE }],
    ["a Date of 1970", { date: "Thu, 01 Jan 1970 00:00:00 GMT" }],
    ["a Date of 2099", { date: "Thu, 03 Sep 2099 00:00:00 GMT" }],
    ["a Date that is none", { date: "now" }]
  ]
  const rows: ReadonlyArray<readonly [name: string, end: string, expected: number | "a minute"]> = [
    ["in 3 seconds", "2026-09-03 00:01:05", 3000],
    ["now", "2026-09-03 00:01:02", 0],
    ["a second ago", "2026-09-03 00:01:01", 0],
    ["years ago", "1999-01-01 00:00:00", 0],
    ["in 2099", "2099-01-01 00:00:00", "a minute"],
    ["tomorrow", "2026-09-04 00:01:02", "a minute"]
  ]
  const shapes: ReadonlyArray<
    readonly [name: string, gateway: "oapi" | "api", status: number, body: (text: string) => string]
  > = [
    ["90018", "oapi", 200, (text) => refusal(90018, text)],
    ["90002 flat", "oapi", 200, (text) => flat(90002, text)],
    ["QpsLimitForAppkeyAndApi", "api", 403, (text) => modern(`${DENIED}.QpsLimitForAppkeyAndApi`, text)],
    ["429 system.busy", "api", 429, (text) => modern("system.busy", text)]
  ]
  for (const [shape, gateway, status, body] of shapes) {
    for (const [name, end, expected] of rows) {
      for (const [date, headers] of dates) {
        it.effect(`${shape} (${gateway}) ${name}, with ${date}`, () =>
          Effect.gen(function*() {
            const { layer, sent } = answering(only({ status, headers, body: body(stating(end)) }))
            const call = Effect.provide(gateway === "oapi" ? write : writeNew, layer)
            yield* TestClock.setTime(NOW)
            const fiber = yield* Effect.fork(Effect.zip(Effect.either(call), Clock.currentTimeMillis))
            yield* TestClock.adjust("31 seconds")
            const [result, at] = yield* Fiber.join(fiber)
            if (expected === "a minute") {
              assert(Either.isLeft(result) && result.left._tag === "RateLimited")
              assert.strictEqual(Duration.toSeconds(result.left.retryAfter!), 60)
              assert.include(result.left.message, "try again in 60 s")
              assert.deepStrictEqual([at - NOW, sent()], [0, 1])
            } else {
              assert.deepStrictEqual([Either.isRight(result), sent()], [true, 2])
              assert.isAtLeast(at - NOW, expected)
              assert.isAtMost(at - NOW, expected + JITTER)
            }
          }))
      }
    }
  }

  it.effect("is counted by the server's clock, where this machine's is wrong by hours", () =>
    Effect.gen(function*() {
      for (const hours of [-23, -3, 3, 23]) {
        const { layer } = answering(
          only({ status: 200, headers: { date: DATE }, body: refusal(90018, stating("2026-09-03 00:01:05")) })
        )
        const start = NOW + hours * 3600 * 1000
        yield* TestClock.setTime(start)
        const fiber = yield* Effect.fork(Effect.zipRight(Effect.provide(write, layer), Clock.currentTimeMillis))
        yield* TestClock.adjust("5 seconds")
        const took = (yield* Fiber.join(fiber)) - start
        assert.isAtLeast(took, 3000)
        assert.isAtMost(took, 3000 + JITTER)
      }
    }))

  it.effect("that is absurd is a minute for the lane too, and for whoever has the time", () =>
    Effect.gen(function*() {
      const { layer, sent } = answering(
        only({ status: 200, headers: {}, body: refusal(90018, stating("2099-01-01 00:00:00")) }),
        { deadline: "5 minutes" }
      )
      yield* TestClock.setTime(NOW)
      const fiber = yield* Effect.fork(Effect.provide(Effect.zipRight(write, Clock.currentTimeMillis), layer))
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(sent(), 1)
      yield* TestClock.adjust("1 seconds")
      assert.isAtMost((yield* Fiber.join(fiber)) - NOW, 60_000 + JITTER)
      assert.strictEqual(sent(), 2)
    }))
})

describe("a connection", () => {
  /** Breaks the first `times` requests with this code, and answers the others. */
  const breaking = (code: string, times: number) => {
    let sent = 0
    const client = HttpClient.make((request) =>
      Effect.suspend(() =>
        ++sent > times
          ? Effect.succeed(
            HttpClientResponse.fromWeb(request, new Response(`{"errcode":0,"ok":true,"result":{"ok":true}}`))
          )
          : Effect.fail(
            new HttpClientError.RequestError({
              request,
              reason: "Transport",
              cause: Object.assign(new Error("fetch failed"), { code })
            })
          )
      )
    )
    return {
      sent: () => sent,
      layer: DingTalkHttp.layer().pipe(
        Layer.provide(TokenService.layerTest()),
        Layer.provide(HttpTransport.layer()),
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
    }
  }

  const ends = <A, E>(call: Effect.Effect<A, E, DingTalk.DingTalk>, layer: Layer.Layer<DingTalk.DingTalk>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.either(Effect.provide(call, layer)))
      yield* TestClock.adjust("10 seconds")
      const result = yield* Fiber.join(fiber)
      return Either.isRight(result) ? "success" : (result.left as { readonly _tag: string })._tag
    })

  for (
    const [code, call, what, outcome, sent] of [
      ["ECONNRESET", read, "read", "success", 2],
      ["ECONNRESET", write, "write", "TransportError", 1],
      ["UND_ERR_SOCKET", write, "write", "TransportError", 1],
      ["UND_ERR_HEADERS_TIMEOUT", write, "write", "TransportError", 1],
      // Never made, so nothing was sent.
      ["ECONNREFUSED", read, "read", "success", 2],
      ["ECONNREFUSED", write, "write", "success", 2],
      ["ENOTFOUND", write, "write", "success", 2],
      ["UND_ERR_CONNECT_TIMEOUT", write, "write", "success", 2]
    ] as const
  ) {
    it.effect(`that ends with ${code}: a ${what} is sent ${sent === 1 ? "once" : "again"}`, () =>
      Effect.gen(function*() {
        const http = breaking(code, 1)
        assert.deepStrictEqual([yield* ends(call, http.layer), http.sent()], [outcome, sent])
      }))
  }

  it.effect("that hangs: one request, and the deadline", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.delay("1 hour"))
      const fiber = yield* Effect.fork(Effect.flip(write))
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(fiber)
      assert(error._tag === "TransportError")
      assert.deepStrictEqual([error.reason, yield* emulator.count()], ["Timeout", 1])
    }).pipe(Effect.provide(TestLayer())))
})

describe("a token that cannot be had", () => {
  it.effect("is asked for again, for a write too: nothing of the call was sent", () =>
    Effect.gen(function*() {
      let asked = 0
      const tokens = Layer.succeed(TokenService.TokenService, {
        get: Effect.suspend(() =>
          ++asked === 1
            ? Effect.fail(new DingTalkError.Unavailable({ endpoint: "oauth2.getAccessToken", status: 503 }))
            : Effect.succeed({ value: Redacted.make("token"), expiresAt: Infinity })
        ),
        invalidate: () => Effect.void
      })
      const layer = DingTalkHttp.layer().pipe(
        Layer.provide(tokens),
        Layer.provide(HttpTransport.layer()),
        Layer.provide(EmulatorHttpClient.layer)
      )
      const { outcome, sent } = yield* answeredFirstWith(
        FINE_OAPI,
        Effect.provide(write, Layer.provide(layer, Layer.succeed(Emulator.Emulator, yield* Emulator.Emulator)))
      )
      assert.deepStrictEqual([outcome, sent, asked], ["success", 1, 2])
    }).pipe(Effect.provide(TestLayer())))
})

describe("the budget", () => {
  it("holds 20 retries, gets a fifth of one back with each success, and no more than it held", () => {
    const budget = Retry.budget()
    let taken = 0
    while (budget.take("busy")) taken++
    assert.strictEqual(taken, 20)
    for (let i = 0; i < 5; i++) {
      assert.isFalse(budget.take("busy"))
      budget.succeeded()
    }
    assert.isTrue(budget.take("busy"))
    for (let i = 0; i < 1000; i++) budget.succeeded()
    taken = 0
    while (budget.take("busy")) taken++
    assert.strictEqual(taken, 20)
  })

  it("holds as many for throttled calls alone, and gets one of these back with each success", () => {
    const budget = Retry.budget()
    while (budget.take("busy")) { /* all of them */ }
    let taken = 0
    while (budget.take("throttled")) taken++
    assert.strictEqual(taken, 20)
    for (let i = 0; i < 4; i++) {
      budget.succeeded()
      assert.deepStrictEqual([budget.take("throttled"), budget.take("throttled")], [true, false])
    }
    for (let i = 0; i < 1000; i++) budget.succeeded()
    taken = 0
    while (budget.take("throttled")) taken++
    // A throttled call that finds none of them takes one of the others.
    assert.strictEqual(taken, 40)
    assert.isFalse(budget.take("busy"))
    assert.isFalse(Retry.budget(0).take("throttled"))
  })

  it.effect("200 callers of a platform that is down send no more than 220 requests", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.busy, { lasting: "1 minute" })
      const denied = DingTalkMetrics.retriesDenied.pipe(Metric.tagged("endpoint", "todo.readNew"))
      const before = (yield* Metric.value(denied)).count
      const all = yield* Effect.forEach(Array.from({ length: 200 }), () => Effect.exit(readNew), {
        concurrency: "unbounded"
      }).pipe(Effect.fork)
      yield* TestClock.adjust("10 seconds")
      assert.isTrue((yield* Fiber.join(all)).every(Exit.isFailure))
      assert.isAtMost(yield* emulator.count(), 220)
      assert.isAbove((yield* Metric.value(denied)).count, before)
    }).pipe(Effect.provide(TestLayer({ limiter: { perSecond: Infinity } }))))
})

describe("an outage", () => {
  const THROTTLED = { status: 200, headers: {}, body: refusal(90018, SEEN_90002) }
  const everything: ReadonlyArray<readonly [what: string, typeof write, answers: ReadonlyArray<Answer>]> = [
    ["throttled (oapi)", write, [THROTTLED]],
    ["throttled (api)", writeNew, [{ status: 429, headers: {}, body: "" }]],
    // So that each of them would come back soon.
    ["throttled for no time", write, [{ status: 429, headers: { "retry-after": "0" }, body: "" }]],
    ["throttled and busy by turns", read, [THROTTLED, { status: 200, headers: {}, body: flat(-1) }]]
  ]
  for (const [what, call, answers] of everything) {
    /** Each caller calls so often, two seconds apart, while all is so; tells how many calls and requests that was. */
    const under = (callers: number, times: number) =>
      Effect.gen(function*() {
        const { layer, sent } = answering((i) => answers[i % answers.length]!, { limiter: false })
        yield* TestClock.setTime(NOW)
        const all = yield* Effect.exit(call).pipe(
          Effect.delay("2 seconds"),
          Effect.replicateEffect(times),
          Effect.replicateEffect(callers, { concurrency: "unbounded" }),
          Effect.provide(layer),
          Effect.fork
        )
        // No call takes longer than its deadline.
        yield* TestClock.adjust("5 minutes")
        const exits = (yield* Fiber.join(all)).flat()
        assert.isTrue(exits.length === callers * times && exits.every(Exit.isFailure))
        return { calls: exits.length, sent: sent() }
      })

    it.effect(`without the limiter, all ${what}: 200 callers send no more than 1.2 requests a call`, () =>
      Effect.gen(function*() {
        const { calls, sent } = yield* under(200, 1)
        assert.isAbove(sent, calls)
        assert.isAtMost(sent, calls * 1.2)
      }))

    it.effect(`without the limiter, all ${what}, on and on: no more than what was in hand is added`, () =>
      Effect.gen(function*() {
        const { calls, sent } = yield* under(5, 20)
        assert.isAtMost(sent, calls + 40)
      }))
  }

  it.effect(
    "of 60 seconds under 200 callers: under 1.2 requests a call, and no burst afterwards",
    () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        yield* emulator.setRateLimit(20)
        yield* emulator.failNext(Fault.busy, { lasting: "1 minute" })
        let calls = 0
        let found = 0
        const caller = Effect.suspend(() => {
          calls++
          return Contact.getUser({ userid: "zhangsan" })
        }).pipe(
          Effect.match({ onFailure: () => {}, onSuccess: () => void found++ }),
          Effect.forever
        )
        const all = yield* Effect.forkAll(Array.from({ length: 200 }, () => caller))
        yield* TestClock.adjust("1 minute")
        // Those that wait for their turn have not called yet, as far as the platform goes.
        const own = calls - 200
        const during = yield* emulator.count()
        assert.isAbove(own, 1000)
        assert.isAtMost(during, own * 1.2)
        assert.strictEqual(found, 0)

        yield* TestClock.adjust("10 seconds")
        yield* Fiber.interrupt(all)
        assert.isAbove(found, 180)
        const log = yield* emulator.requests
        assert.strictEqual(log.filter(({ fault }) => fault === "Throttled").length, 0)
        const seconds = new Map<number, number>()
        for (const { at } of log) seconds.set(Math.floor(at / 1000), (seconds.get(Math.floor(at / 1000)) ?? 0) + 1)
        assert.isAtMost(Math.max(...seconds.values()), 20)
      }).pipe(
        Effect.provide(
          DingTalkHttp.layer().pipe(
            Layer.provide(fixedTokens),
            Layer.provide(HttpTransport.layer()),
            Layer.provide(EmulatorHttpClient.layer)
          )
        ),
        Effect.provide(Emulator.layer())
      ),
    60_000
  )
})

/** A token that the emulator knows, fetched once and for all. */
const fixedTokens = Layer.effect(
  TokenService.TokenService,
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const { body } = yield* emulator.handle({
      method: "GET",
      path: "/gettoken?appkey=dingquickstart&appsecret=quickstart-secret"
    })
    yield* emulator.clearRequests
    const value = Redacted.make(String(JSON.parse(body).access_token))
    return { get: Effect.succeed({ value, expiresAt: Infinity }), invalidate: () => Effect.void }
  })
)

describe("the deadline", () => {
  const timedOut = (call: Effect.Effect<unknown, DingTalkError.DingTalkError, DingTalk.DingTalk>, deadline: string) =>
    Effect.gen(function*() {
      const start = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.fork(Effect.zip(Effect.flip(call), Clock.currentTimeMillis))
      yield* TestClock.adjust(deadline as "1 second")
      const polled = yield* Fiber.poll(fiber)
      assert.isTrue(Option.isSome(polled), "still under way")
      const [error, end] = yield* Fiber.join(fiber)
      return { error, took: end - start }
    })

  it.effect("is one for a throttle's pause, the turn and the answer together", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.respond({ status: 429, headers: { "retry-after": "3" }, body: "" }))
      yield* emulator.failNext(Fault.delay("1 minute"))
      const { error, took } = yield* timedOut(readNew, "5 seconds")
      assert.deepStrictEqual([error._tag, took, yield* emulator.count()], ["TransportError", 5000, 2])
    }).pipe(Effect.provide(TestLayer({ deadline: "5 seconds" }))))

  it.effect("keeps a wait from being begun that would outlast it, and gives the platform's own error", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.respond({ status: 429, headers: { "retry-after": "6" }, body: "" }))
      const { error, took } = yield* timedOut(readNew, "5 seconds")
      assert(error._tag === "RateLimited")
      assert.deepStrictEqual([error.status, Duration.toMillis(error.retryAfter!), took], [429, 6000, 0])
    }).pipe(Effect.provide(TestLayer({ deadline: "5 seconds" }))))

  it.effect("fails those at once that the queue would keep too long, and sends nothing for them", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(FINE_API, { lasting: "1 hour" })
      const all = yield* Effect.fork(Effect.forEach(Array.from({ length: 200 }), () => Effect.either(readNew), {
        concurrency: "unbounded"
      }))
      yield* TestClock.adjust("5 seconds")
      const results = yield* Fiber.join(all)
      const refused = results.filter(Either.isLeft).map(({ left }) => left)
      assert.isTrue(refused.every((error) => error._tag === "RateLimited" && error.retryAfter !== undefined))
      assert.strictEqual(yield* emulator.count(), 200 - refused.length)
      // 20 at once, and one each 51.25 ms from 1,025 ms on.
      assert.strictEqual(200 - refused.length, 20 + Math.floor((5000 - 1025) / 51.25) + 1)
    }).pipe(Effect.provide(TestLayer({ deadline: "5 seconds" }))))

  it.effect("is each caller's own: later ones end later", () =>
    Effect.gen(function*() {
      const ends: Array<number> = []
      const start = yield* Clock.currentTimeMillis
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.delay("1 hour"), { times: 10 })
      for (let i = 0; i < 5; i++) {
        yield* Effect.fork(Effect.zipRight(
          Effect.ignore(readNew),
          Effect.map(Clock.currentTimeMillis, (now) => ends.push(now - start))
        ))
        yield* TestClock.adjust("700 millis")
      }
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ends, [5000, 5700, 6400, 7100, 7800])
    }).pipe(Effect.provide(TestLayer({ deadline: "5 seconds" }))))
})

describe("a caller that goes away leaves nothing behind", () => {
  const goesAway = (call: Effect.Effect<unknown, unknown, DingTalk.DingTalk>) =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor.track
      const fiber = yield* Effect.fork(Effect.supervised(call, supervisor))
      yield* TestClock.adjust("100 millis")
      assert.isNotEmpty(yield* supervisor.value)
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      const emulator = yield* Emulator.Emulator
      const sent = yield* emulator.count()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* supervisor.value).map((each) => String(each.id())), [])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* emulator.count(), sent)
    })

  it.effect("while it waits for a token", () =>
    goesAway(read).pipe(
      Effect.provide(
        DingTalkHttp.layer().pipe(
          Layer.provide(Layer.succeed(TokenService.TokenService, { get: Effect.never, invalidate: () => Effect.void })),
          Layer.provide(HttpTransport.layer()),
          Layer.provide(EmulatorHttpClient.layer)
        )
      ),
      Effect.provide(Emulator.layer())
    ))

  it.effect("while it waits for its turn", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(FINE_OAPI, { lasting: "1 hour" })
      yield* Effect.forEach(Array.from({ length: 20 }), () => read, { discard: true })
      yield* goesAway(read)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("while it waits for the answer", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.delay("1 second"))
      yield* goesAway(read)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("while it waits for the next attempt", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.throttled)
      yield* goesAway(read)
    }).pipe(Effect.provide(TestLayer())))

  it.effect("and the socket of an exchange under way is closed", () =>
    Effect.gen(function*() {
      let aborted = false
      const client = HttpClient.make((_request, _url, signal) => {
        signal.addEventListener("abort", () => {
          aborted = true
        })
        return Effect.never
      })
      const fiber = yield* Effect.fork(Effect.provide(
        read,
        DingTalkHttp.layer({ deadline: "5 seconds" }).pipe(
          Layer.provide(TokenService.layerTest()),
          Layer.provide(HttpTransport.layer()),
          Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
        )
      ))
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.isTrue(aborted)
    }))
})

describe("a Limiter of one's own", () => {
  it.effect("is used in place of the one in memory", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const own: Limiter.Service = {
        check: () => Effect.void,
        take: ({ app, endpoint, host, perSecond }) =>
          Effect.sync(() => {
            seen.push(`${host} ${app} ${endpoint} ${perSecond}`)
            return 0
          }),
        pause: (_, error) => Effect.sync(() => seen.push(error._tag))
      }
      const transport = Layer.succeed(Transport.Transport, {
        hosts: Hosts.com,
        prepare: () =>
          Either.right(() =>
            seen.length < 2
              ? Effect.fail(new DingTalkError.RateLimited({ endpoint: "todo.read", dimension: "Api" }))
              : Effect.succeed({ ok: true })
          ) as any
      })
      const fiber = yield* Effect.fork(Effect.provide(
        read,
        DingTalkHttp.layer({ limiter: { app: "ding1", endpoints: { "todo.read": 5 } } }).pipe(
          Layer.provide(transport),
          Layer.provide(TokenService.layerTest()),
          Layer.provide(Layer.succeed(Limiter.Limiter, own))
        )
      ))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, [
        "https://api.dingtalk.com ding1 todo.read 5",
        "RateLimited",
        "https://api.dingtalk.com ding1 todo.read 5"
      ])
    }))
})
