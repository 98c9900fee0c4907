import { TokenService } from "@effect-dingtalk/auth"
import { Contact, DingTalk, Endpoint } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient, Fault } from "@effect-dingtalk/emulator"
import { DingTalkHttp, DingTalkMetrics, HttpTransport } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Metric, Redacted, Schema, TestClock, Tracer } from "effect"

const dingtalk = (options?: DingTalkHttp.Options) =>
  DingTalkHttp.layer(options).pipe(
    Layer.provideMerge(
      TokenService.layer({ clientId: "dingquickstart", clientSecret: Redacted.make("quickstart-secret") })
    ),
    Layer.provide(HttpTransport.layer()),
    Layer.provide(EmulatorHttpClient.layer),
    Layer.provideMerge(Emulator.layer())
  )

/** Each test has an endpoint of its own: the metrics are those of the whole process. */
const endpoint = (name: string) =>
  Endpoint.oapi(name, {
    path: "/topapi/todo/read",
    payload: Schema.Struct({ id: Schema.String }),
    success: Schema.Struct({ ok: Schema.Boolean }),
    idempotent: true
  })

const fine = (times = 100) =>
  Effect.flatMap(
    Emulator.Emulator,
    (emulator) =>
      emulator.failNext(Fault.respond({ body: `{"errcode":0,"result":{"ok":true}}` }), {
        matching: { path: "/topapi/todo/read" },
        times
      })
  )

const failing = (fault: Fault.Fault, times = 1) =>
  Effect.flatMap(
    Emulator.Emulator,
    (emulator) => emulator.failNext(fault, { matching: { path: "/topapi/todo/read" }, times })
  )

const tagged = (tags: Record<string, string>) => <M extends Metric.Metric<any, any, any>>(metric: M): M =>
  Object.entries(tags).reduce((self, [name, value]) => Metric.tagged(self, name, value) as M, metric)

const count = (metric: Metric.Metric.Counter<number>, tags: Record<string, string>) =>
  Effect.map(Metric.value(metric.pipe(tagged(tags))), (state) => state.count)

const ran = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.either(effect))
    yield* TestClock.adjust("20 seconds")
    return yield* Fiber.join(fiber)
  })

describe("metrics", () => {
  it.effect("calls by outcome, and how long they took", () =>
    Effect.gen(function*() {
      const call = DingTalk.call(endpoint("metrics.calls"))({ id: "1" })
      yield* failing(Fault.delay("300 millis"))
      yield* failing(Fault.delay("1 second"))
      yield* failing(Fault.respond({ body: `{"errcode":60011,"errmsg":"x"}` }))
      yield* fine()
      yield* ran(call)
      const gone = yield* Effect.fork(call)
      yield* TestClock.adjust("10 millis")
      yield* Fiber.interrupt(gone)
      yield* ran(call)
      yield* ran(call)
      const tags = { endpoint: "metrics.calls" }
      // The delay is answered by the emulator itself, which has no such API.
      assert.strictEqual(yield* count(DingTalkMetrics.calls, { ...tags, outcome: "InvalidRequest" }), 1)
      assert.strictEqual(yield* count(DingTalkMetrics.calls, { ...tags, outcome: "PermissionDenied" }), 1)
      assert.strictEqual(yield* count(DingTalkMetrics.calls, { ...tags, outcome: "success" }), 1)
      assert.strictEqual(yield* count(DingTalkMetrics.calls, { ...tags, outcome: "Interrupted" }), 1)
      const duration = yield* Metric.value(DingTalkMetrics.duration.pipe(tagged(tags)))
      assert.deepStrictEqual([duration.count, duration.max], [4, 300])
    }).pipe(Effect.provide(dingtalk())))

  it.effect("throttles, retries and waits", () =>
    Effect.gen(function*() {
      const tags = { endpoint: "metrics.waits" }
      const call = DingTalk.call(endpoint("metrics.waits"))({ id: "1" })
      yield* failing(Fault.throttled)
      yield* failing(Fault.busy)
      yield* fine()
      yield* ran(call)
      yield* ran(Effect.all(Array.from({ length: 25 }, () => call), { concurrency: "unbounded" }))
      assert.strictEqual(yield* count(DingTalkMetrics.throttles, { ...tags, dimension: "AppAndApi" }), 1)
      assert.strictEqual(yield* count(DingTalkMetrics.retries, { ...tags, reason: "throttled" }), 1)
      assert.strictEqual(yield* count(DingTalkMetrics.retries, { ...tags, reason: "busy" }), 1)
      assert.strictEqual((yield* Metric.value(DingTalkMetrics.limiterWait.pipe(tagged(tags)))).count, 5)
    }).pipe(Effect.provide(dingtalk())))

  it.effect("the month's metered requests: of what is not free, and was not throttled", () =>
    Effect.gen(function*() {
      const call = DingTalk.call(endpoint("metrics.metered"))({ id: "1" })
      // 1 November in China, and still October elsewhere.
      yield* TestClock.setTime(Date.parse("2026-11-01T00:30:00+08:00"))
      yield* failing(Fault.throttled)
      yield* failing(Fault.busy)
      yield* failing(Fault.quotaExhausted)
      yield* fine()
      yield* ran(call)
      yield* ran(call)
      const of = (name: string, month: string) => count(DingTalkMetrics.metered, { endpoint: name, month })
      assert.deepStrictEqual(
        [yield* of("metrics.metered", "2026-11"), yield* of("metrics.metered", "2026-10")],
        [2, 0]
      )
      yield* ran(Contact.getUser({ userid: "zhangsan" }))
      assert.strictEqual(yield* of("contact.getUser", "2026-11"), 0)
    }).pipe(Effect.provide(dingtalk())))

  // Reference 5: tokens, sign-in, contacts and roles do not count; the paths are those of its other sections, row by row.
  const free = [
    // 1.1: T1 to T12
    "/v1.0/oauth2/accessToken",
    "/gettoken",
    "/v1.0/oauth2/userAccessToken",
    "/v1.0/oauth2/{corpId}/token",
    "/v1.0/oauth2/corpAccessToken",
    "/service/get_corp_token",
    "/v1.0/oauth2/suiteAccessToken",
    "/service/get_suite_token",
    "/v1.0/oauth2/ssoAccessToken",
    "/v1.0/oauth2/jsapiTickets",
    "/get_jsapi_ticket",
    "/sns/gettoken",
    // 1.6 to 1.8
    "/v1.0/oauth2/apps/authInfo",
    "/v1.0/oauth2/ssoUserInfo",
    "/topapi/v2/user/getuserinfo",
    // 6.2 to 6.4
    "/topapi/v2/user/get",
    "/v1.0/contact/users/{unionId}",
    "/v1.0/contact/users/me",
    "/topapi/user/getbyunionid",
    "/topapi/v2/user/getbymobile",
    "/topapi/v2/user/list",
    "/topapi/user/listsimple",
    "/topapi/user/listid",
    "/topapi/user/count",
    "/topapi/user/listadmin",
    "/topapi/inactive/user/v2/get",
    "/topapi/v2/user/create",
    "/topapi/v2/user/update",
    "/topapi/v2/user/delete",
    "/auth/scopes",
    // 6.5
    "/topapi/v2/department/listsub",
    "/topapi/v2/department/listsubid",
    "/topapi/v2/department/get",
    "/topapi/v2/department/listparentbydept",
    "/topapi/v2/department/listparentbyuser",
    "/topapi/v2/department/create",
    "/topapi/v2/department/update",
    "/topapi/v2/department/delete",
    // 6.6
    "/topapi/role/list",
    "/topapi/role/simplelist",
    "/topapi/role/getrole",
    "/topapi/role/getrolegroup",
    "/role/add_role",
    "/role/update_role",
    "/role/add_role_group",
    "/topapi/role/deleterole",
    "/topapi/role/addrolesforemps",
    "/topapi/role/removerolesforemps",
    // 6.7
    "/v1.0/contact/users/search",
    "/v1.0/contact/departments/search",
    "/v1.0/contact/empLeaveRecords"
  ]
  const counted = [
    // 7 and 9
    "/topapi/message/corpconversation/asyncsend_v2",
    "/topapi/message/corpconversation/getsendprogress",
    "/topapi/message/corpconversation/getsendresult",
    "/topapi/message/corpconversation/recall",
    "/robot/send",
    "/v1.0/robot/oToMessages/batchSend",
    "/v1.0/robot/groupMessages/send",
    "/v1.0/robot/messageFiles/download",
    "/media/upload",
    // of no section, and much like those that are free
    "/v1.0/todo/tasks",
    "/v1.0/drive/contact/users",
    "/topapi/todo/role/list",
    "/topapi/roles",
    "/topapi/userextension/get",
    "/gettokens"
  ]
  for (const path of free) {
    it(`${path} is free`, () => assert.isFalse(DingTalkMetrics.isMetered({ path })))
  }
  for (const path of counted) {
    it(`${path} counts`, () => assert.isTrue(DingTalkMetrics.isMetered({ path })))
  }

  it.effect("tokens: fetched, refused, and served when their refresh is due", () =>
    Effect.gen(function*() {
      const refreshes = (outcome: string) =>
        count(
          Metric.counter("dingtalk.client.token.refreshes", {
            description: "fetches of a token, by how they ended",
            incremental: true
          }),
          { outcome }
        )
      const stale = Metric.value(Metric.counter("dingtalk.client.token.stale", {
        description: "tokens served after their refresh was due",
        incremental: true
      }))
      const emulator = yield* Emulator.Emulator
      const before = [yield* refreshes("success"), yield* refreshes("Unavailable"), (yield* stale).count]
      yield* ran(Contact.getUser({ userid: "zhangsan" }))
      yield* emulator.failNext(Fault.busy, { matching: { path: "/v1.0/oauth2/accessToken" }, times: 1 })
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("50 minutes")
      yield* ran(Contact.getUser({ userid: "zhangsan" }))
      const after = [yield* refreshes("success"), yield* refreshes("Unavailable"), (yield* stale).count]
      // Other tests of this process fetch tokens as well.
      for (const [i, value] of after.entries()) assert.isAbove(value, before[i]!)
    }).pipe(Effect.provide(dingtalk())))
})

describe("the span of a call", () => {
  it.effect("says how many attempts it took, how long it waited and how it ended", () =>
    Effect.gen(function*() {
      const spans: Array<{ readonly name: string; readonly attributes: Map<string, unknown> }> = []
      const tracer = Tracer.make({
        span: (name, parent, context, links, startTime, kind, options) => {
          const attributes = new Map<string, unknown>(Object.entries(options?.attributes ?? {}))
          spans.push({ name, attributes })
          return {
            _tag: "Span",
            name,
            parent,
            context,
            links,
            kind,
            sampled: true,
            spanId: String(spans.length),
            traceId: "t",
            status: { _tag: "Started", startTime },
            attributes,
            attribute: (key, value) => void attributes.set(key, value),
            event: () => {},
            addLinks: () => {},
            end: () => {}
          }
        },
        context: (f) => f()
      })
      const call = DingTalk.call(endpoint("spans.read"))({ id: "1" })
      yield* failing(Fault.throttled)
      yield* failing(Fault.quotaExhausted)
      yield* fine()
      yield* ran(Effect.withTracer(call, tracer))
      yield* Effect.forEach(Array.from({ length: 19 }), () => call)
      yield* ran(Effect.all([call, Effect.withTracer(call, tracer)], { concurrency: 2 }))
      const [failed, waited] = spans.filter(({ name }) => name === "DingTalk.spans.read").map(({ attributes }) =>
        Object.fromEntries(attributes)
      )
      assert.deepStrictEqual(failed, {
        "rpc.system": "dingtalk",
        "rpc.service": "spans",
        "rpc.method": "read",
        "dingtalk.endpoint": "spans.read",
        "dingtalk.attempts": 2,
        "error.type": "QuotaExhausted"
      })
      assert.strictEqual(waited?.["dingtalk.attempts"], 1)
      assert.isAbove(waited?.["dingtalk.limiter.wait_ms"] as number, 900)
    }).pipe(Effect.provide(dingtalk())))
})

describe("layerConfig", () => {
  it.effect("reads the pace from DINGTALK_CALLS_PER_SECOND, and names it where it is none", () =>
    Effect.gen(function*() {
      const layer = DingTalkHttp.layerConfig().pipe(
        Layer.provide(TokenService.layerTest()),
        Layer.provide(HttpTransport.layer()),
        Layer.provide(EmulatorHttpClient.layer)
      )
      const call = DingTalk.call(endpoint("config.read"))({ id: "1" })
      const withRate = (rate: string) =>
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["DINGTALK_CALLS_PER_SECOND", rate]])))
      yield* fine()
      const fiber = yield* Effect.all(Array.from({ length: 45 }, () => call), { concurrency: "unbounded" }).pipe(
        Effect.provide(Layer.fresh(layer)),
        withRate("40"),
        Effect.fork
      )
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Effect.flatMap(Emulator.Emulator, (emulator) => emulator.count()), 40)
      yield* Fiber.interrupt(fiber)
      const error = yield* call.pipe(Effect.provide(Layer.fresh(layer)), withRate("0"), Effect.flip)
      assert.include(String(error), "DINGTALK_CALLS_PER_SECOND")
    }).pipe(Effect.provide(Emulator.layer())))
})
