import { Contact, Endpoint, OAuth2, WireRequest } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc, Redacted, Schema } from "effect"
import { inspect } from "node:util"

const encode = (endpoint: Endpoint.Endpoint.Any, payload: unknown) =>
  Either.getOrThrow(WireRequest.encode(endpoint, payload))
const refusal = (endpoint: Endpoint.Endpoint.Any, payload: unknown) =>
  Either.getOrThrow(Either.flip(WireRequest.encode(endpoint, payload)))

const options = { success: Schema.Void } as const
const GetFile = Endpoint.api("drive.getFile", {
  ...options,
  method: "GET",
  path: "/v1.0/drive/spaces/{spaceId}/files/{fileId}",
  payload: Schema.Struct({
    fileId: Schema.String,
    b: Schema.optional(Schema.Number),
    spaceId: Schema.String,
    a: Schema.optional(Schema.NullOr(Schema.String)),
    list: Schema.optional(Schema.Array(Schema.Number))
  })
})
const PutFile = Endpoint.api("drive.putFile", {
  ...options,
  method: "PUT",
  path: "/v1.0/drive/{spaceId}",
  query: ["unionId"],
  payload: Schema.Struct({
    spaceId: Schema.Int,
    unionId: Schema.String,
    name: Schema.optional(Schema.String),
    size: Schema.optional(Schema.BigIntFromSelf)
  })
})

describe("WireRequest", () => {
  it("a POST without parameters is its JSON body", () => {
    assert.deepStrictEqual(encode(Contact.GetUser, { userid: "zhangsan", language: "en_US" }), {
      gateway: "oapi",
      method: "POST",
      path: "/topapi/v2/user/get",
      query: "",
      body: "{\"userid\":\"zhangsan\",\"language\":\"en_US\"}"
    })
  })

  it("what is undefined is left out of the body and of the query", () => {
    assert.strictEqual(encode(Contact.GetUser, { userid: "u", language: undefined }).body, "{\"userid\":\"u\"}")
    assert.strictEqual(encode(GetFile, { spaceId: "s", fileId: "f", a: undefined, b: undefined }).query, "")
    assert.strictEqual(encode(GetFile, { spaceId: "s", fileId: "f", a: null, b: 0 }).query, "b=0")
  })

  it("a GET has no body: the fields of the path go there, the others into the query in the order of the schema", () => {
    assert.deepStrictEqual(encode(GetFile, { a: "x", spaceId: "s", b: 2, fileId: "f", list: [1, 2] }), {
      gateway: "api",
      method: "GET",
      path: "/v1.0/drive/spaces/s/files/f",
      query: "b=2&a=x&list=%5B1%2C2%5D",
      body: undefined
    })
  })

  it("a PUT has path, query and body, each with its own fields", () => {
    assert.deepStrictEqual(encode(PutFile, { spaceId: 12, unionId: "u&=1", name: "n", size: 9007199254740993n }), {
      gateway: "api",
      method: "PUT",
      path: "/v1.0/drive/12",
      query: "unionId=u%26%3D1",
      body: "{\"name\":\"n\",\"size\":9007199254740993}"
    })
    assert.strictEqual(encode(PutFile, { spaceId: 12, unionId: "u" }).body, "{}")
  })

  it("unknown fields of a payload are not sent", () => {
    assert.strictEqual(encode(Contact.GetUser, { userid: "u", SENTINEL: 1 }).body, "{\"userid\":\"u\"}")
  })

  describe("a parameter of the path", () => {
    const rows: ReadonlyArray<readonly [value: string, path: string]> = [
      ["a/b", "a%2Fb"],
      ["../x", "..%2Fx"],
      ["...", "..."],
      ["a.b", "a.b"],
      ["%2e%2e", "%252e%252e"],
      ["a?b#c", "a%3Fb%23c"],
      ["a b", "a%20b"],
      ["张三", "%E5%BC%A0%E4%B8%89"],
      ["\u{1F512}", "%F0%9F%94%92"],
      ["{fileId}", "%7BfileId%7D"],
      ["$&$1", "%24%26%241"],
      ["a\r\nb: c", "a%0D%0Ab%3A%20c"],
      ["\\", "%5C"],
      ["@host:1", "%40host%3A1"]
    ]
    for (const [value, path] of rows) {
      it(`${JSON.stringify(value)} stays one segment`, () => {
        assert.strictEqual(encode(GetFile, { spaceId: value, fileId: "f" }).path, `/v1.0/drive/spaces/${path}/files/f`)
        assert.strictEqual(encode(GetFile, { spaceId: "s", fileId: value }).path, `/v1.0/drive/spaces/s/files/${path}`)
      })
    }

    for (const value of ["", ".", ".."]) {
      it(`${JSON.stringify(value)} is refused: it would name another path`, () => {
        const error = refusal(GetFile, { spaceId: value, fileId: "f" })
        assert.deepInclude({ ...error }, { reason: "Encode", path: "payload.spaceId", endpoint: "drive.getFile" })
      })
    }

    it("that the payload leaves out is refused, and not written as undefined or null", () => {
      const Optional = Endpoint.api("x.y", {
        ...options,
        method: "GET",
        path: "/v1.0/x/{id}",
        payload: Schema.Struct({ id: Schema.optional(Schema.NullOr(Schema.String)) })
      })
      for (const payload of [{}, { id: undefined }, { id: null }]) {
        assert.strictEqual(refusal(Optional, payload).path, "payload.id")
      }
      assert.strictEqual(encode(Optional, { id: "undefined" }).path, "/v1.0/x/undefined")
    })

    it("that stands twice is filled twice", () => {
      const Twice = Endpoint.api("x.y", {
        ...options,
        method: "DELETE",
        path: "/v1.0/{id}/x/{id}",
        payload: Schema.Struct({ id: Schema.String, q: Schema.Boolean })
      })
      assert.deepInclude(encode(Twice, { id: "$1", q: false }), { path: "/v1.0/%241/x/%241", query: "q=false" })
    })

    it("whatever it is, stays one segment that says the same, or is refused", () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (spaceId, fileId) => {
          const answer = WireRequest.encode(GetFile, { spaceId, fileId, a: spaceId })
          if (Either.isLeft(answer)) {
            assert.isTrue([spaceId, fileId].some((value) => ["", ".", ".."].includes(value)))
            return
          }
          const segments = answer.right.path.split("/")
          assert.strictEqual(segments.length, 7)
          assert.strictEqual(decodeURIComponent(segments[4]!), spaceId)
          assert.strictEqual(decodeURIComponent(segments[6]!), fileId)
          const url = new URL(`https://host.example${answer.right.path}?${answer.right.query}`)
          assert.strictEqual(url.pathname, answer.right.path)
          assert.strictEqual(url.searchParams.get("a"), spaceId)
        }),
        { numRuns: 1000 }
      )
    })
  })

  it("half of a character cannot stand in a URL, and is escaped in a body", () => {
    for (const half of ["\uD83D", "a\uDD12", "\uDD12\uD83D"]) {
      assert.deepInclude({ ...refusal(GetFile, { spaceId: half, fileId: "f" }) }, {
        reason: "Encode",
        path: "payload.spaceId"
      })
      assert.strictEqual(refusal(GetFile, { spaceId: "s", fileId: "f", a: half }).path, "payload.a")
      assert.strictEqual(refusal(PutFile, { spaceId: 1, unionId: half }).path, "payload.unionId")
      assert.strictEqual(JSON.parse(encode(PutFile, { spaceId: 1, unionId: "u", name: half }).body!).name, half)
    }
  })

  it("any payload at all is encoded or refused without a throw, in the name of the endpoint", () => {
    const endpoints = [
      GetFile,
      PutFile,
      Contact.GetUser,
      Contact.GetProfile,
      OAuth2.GetAccessToken,
      OAuth2.GetUserToken
    ]
    const payload = fc.oneof(
      fc.anything(),
      fc.dictionary(
        fc.constantFrom(
          "userid",
          "language",
          "spaceId",
          "fileId",
          "a",
          "b",
          "unionId",
          "clientId",
          "grantType",
          "code"
        ),
        fc.oneof(fc.string({ unit: "binary" }), fc.string16bits(), fc.anything())
      )
    )
    fc.assert(
      fc.property(fc.constantFrom<Endpoint.Endpoint.Any>(...endpoints), payload, (endpoint, payload) => {
        const answer = WireRequest.encode(endpoint, payload)
        if (Either.isRight(answer)) return
        assert.deepInclude({ ...answer.left }, { _tag: "TransportError", reason: "Encode", endpoint: endpoint.name })
        assert.match(answer.left.path!, /^payload/)
      }),
      { numRuns: 2000 }
    )
  })

  describe("secrets", () => {
    const request = {
      clientId: "dingexample",
      clientSecret: Redacted.make("SENTINEL1"),
      grantType: "authorization_code" as const,
      code: Redacted.make("SENTINEL2")
    }

    it("are unwrapped in the body that is sent, and nowhere else", () => {
      assert.deepStrictEqual(JSON.parse(encode(OAuth2.GetUserToken, request).body!), {
        clientId: "dingexample",
        clientSecret: "SENTINEL1",
        grantType: "authorization_code",
        code: "SENTINEL2"
      })
      assert.notInclude(inspect(request) + JSON.stringify(request) + String(request.code), "SENTINEL")
    })

    const wrong: ReadonlyArray<readonly [name: string, payload: Record<string, unknown>]> = [
      ["the secret unwrapped", { ...request, clientSecret: "SENTINEL1" }],
      ["an unknown grant", { ...request, grantType: "SENTINEL3" }],
      ["no id", { ...request, clientId: "" }],
      ["an id that is too long", { ...request, clientId: "SENTINEL".repeat(20) }],
      ["an empty code", { ...request, code: Redacted.make("") }],
      ["a code that is no text", { ...request, code: Redacted.make({ SENTINEL: 1 }) }],
      ["a code that is missing", {
        clientId: "d",
        clientSecret: Redacted.make("SENTINEL"),
        grantType: "authorization_code"
      }],
      ["the token of the other grant", { ...request, grantType: "refresh_token" }]
    ]
    for (const [name, payload] of wrong) {
      it(`are not told by the refusal of ${name}`, () => {
        const error = refusal(OAuth2.GetUserToken, payload)
        assert.strictEqual(error.reason, "Encode")
        assert.match(error.path!, /^payload(?:\.\w+)?$/)
        for (const text of [error.message, String(error), JSON.stringify(error), inspect(error), String(error.stack)]) {
          assert.notInclude(text, "SENTINEL")
        }
      })
    }
  })

  describe("a refusal names the field", () => {
    const rows: ReadonlyArray<readonly [payload: unknown, path: string]> = [
      [{ userid: "" }, "payload.userid"],
      [{ userid: "SENTINEL".repeat(9) }, "payload.userid"],
      [{ userid: { SENTINEL: 1 } }, "payload.userid"],
      [{}, "payload.userid"],
      [{ userid: "u", language: "SENTINEL" }, "payload.language"],
      ["SENTINEL", "payload"],
      [null, "payload"],
      [undefined, "payload"]
    ]
    for (const [payload, path] of rows) {
      it(`${path} of ${JSON.stringify(payload)?.slice(0, 30)}`, () => {
        const error = refusal(Contact.GetUser, payload)
        assert.deepInclude({ ...error }, { reason: "Encode", path, endpoint: "contact.getUser" })
        assert.include(error.message, path)
        assert.notInclude(error.message + JSON.stringify(error), "SENTINEL")
      })
    }
  })

  it("64 characters are an id, 65 are none", () => {
    assert.isTrue(Either.isRight(WireRequest.encode(Contact.GetUser, { userid: "u".repeat(64) })))
    assert.isTrue(Either.isLeft(WireRequest.encode(Contact.GetUser, { userid: "u".repeat(65) })))
  })
})

describe("what JSON cannot hold", () => {
  const Any = Endpoint.api("test.any", {
    method: "POST",
    path: "/v1.0/test",
    payload: Schema.Struct({ value: Schema.Unknown }),
    success: Schema.Void
  })
  const cycle: Record<string, unknown> = {}
  cycle["self"] = cycle
  const deep = (() => {
    let value: unknown = "sentinel"
    for (let i = 0; i < 50_000; i++) value = [value]
    return value
  })()

  for (
    const [name, value] of [
      ["a cycle", cycle],
      ["nesting beyond the stack", deep],
      ["toJSON that throws", {
        toJSON: () => {
          throw new Error("sentinel")
        }
      }],
      [
        "a getter that throws",
        Object.defineProperty({}, "x", {
          enumerable: true,
          get: () => {
            throw new Error("sentinel")
          }
        })
      ]
    ] as const
  ) {
    it(`${name} is refused, and nothing of it is told`, () => {
      const error = Either.getOrThrow(Either.flip(WireRequest.encode(Any, { value })))
      assert.strictEqual(error.reason, "Encode")
      assert.notInclude(JSON.stringify(error), "sentinel")
    })
  }

  it("a number that is not finite is refused by its path, where it would be sent as null", () => {
    for (
      const [value, path] of [
        [Number.NaN, "payload.value"],
        [{ list: [1, Infinity] }, "payload.value.list[1]"]
      ] as const
    ) {
      assert.strictEqual(Either.getOrThrow(Either.flip(WireRequest.encode(Any, { value }))).path, path)
    }
    assert.strictEqual(
      Either.getOrThrow(WireRequest.encode(Any, { value: [null, "null"] })).body,
      `{"value":[null,"null"]}`
    )
  })
})
