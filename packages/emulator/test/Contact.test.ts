import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Organization } from "../src/index.js"
import { Emulator } from "../src/index.js"
import { appToken, ask, getUser, json, me, post, signIn } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

describe("POST /topapi/v2/user/get", () => {
  it.effect("the guide's person, every byte", () =>
    Effect.gen(function*() {
      const { body } = yield* getUser({ userid: "zhangsan", language: "zh_CN" })
      assert.strictEqual(
        body.replace(/"request_id":"[0-9a-z]{13}"/, "\"request_id\":\"…\""),
        `{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","unionid":"z21HjQliSzpw0YWxxxxx","name":"John","avatar":"xxx","state_code":"86","mobile":"13800138000","hide_mobile":false,"telephone":"010-86123456-2345","job_number":"4","title":"Technical Director","email":"test@xxx.com","org_email":"test@xxx.com","work_place":"Future Park","remark":"Remark","extension":"{\\"Hobby\\":\\"Travel\\",\\"Age\\":\\"24\\"}","manager_userid":"manager240","exclusive_account":false,"active":true,"real_authed":true,"senior":true,"admin":true,"boss":true,"hired_date":1597573616828,"dept_id_list":[2,3,4],"dept_order_list":[{"dept_id":2,"order":179997318850453160}],"leader_in_dept":[{"dept_id":2,"leader":true}],"role_list":[{"id":100,"name":"Director","group_name":"Position"}],"union_emp_ext":{"userid":"500","corp_id":"dingxxx","union_emp_map_list":[{"userid":"5000","corp_id":"dingxxx"}]}},"request_id":"…"}`
      )
    }).pipe(fresh))

  it.effect("a field without its permission is left out", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const all = Object.keys(json(yield* getUser()).result)
      const lost = Effect.map(getUser(), (answer) => all.filter((name) => !(name in json(answer).result)))
      yield* emulator.revoke("fieldMobile")
      assert.deepStrictEqual(yield* lost, ["state_code", "mobile"])
      yield* emulator.grant("fieldMobile")
      yield* emulator.revoke("fieldEmail")
      assert.deepStrictEqual(yield* lost, ["email", "work_place", "remark", "extension"])
    }).pipe(fresh))

  it.effect("a person of whom little is known has few fields", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(json(yield* getUser({ userid: "lisi" })).result, {
        userid: "lisi",
        unionid: "l4siHjQliSzpw0YWxxxxx",
        name: "Li Si",
        active: false,
        dept_id_list: [2]
      })
    }).pipe(fresh))

  it.effect("takes a form, and the token in it", () =>
    Effect.gen(function*() {
      const token = yield* appToken
      const answer = yield* ask({
        method: "POST",
        path: "/topapi/v2/user/get",
        headers: { "CONTENT-TYPE": "Application/X-WWW-Form-Urlencoded; charset=UTF-8" },
        body: `userid=zhangsan&access_token=${token}`
      })
      assert.strictEqual(json(answer).result.name, "John")
    }).pipe(fresh))

  it.effect("people come, change and go", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const ann: Organization.User = { userid: "ann", unionid: "u-ann", name: "Ann", title: "Engineer" }
      yield* emulator.addUser(ann)
      assert.strictEqual((yield* Effect.flip(emulator.addUser(ann))).message, "ann exists already")
      yield* emulator.updateUser("ann", { name: "Anna", title: undefined })
      assert.deepStrictEqual(json(yield* getUser({ userid: "ann" })).result, {
        userid: "ann",
        unionid: "u-ann",
        name: "Anna"
      })
      assert.strictEqual((yield* Effect.flip(emulator.updateUser("ann", { unionid: "" }))).reason, "Invalid")
      yield* emulator.removeUser("ann")
      assert.strictEqual(json(yield* getUser({ userid: "ann" })).errcode, 60121)
      assert.strictEqual((yield* Effect.flip(emulator.removeUser("ann"))).reason, "UnknownUser")
    }).pipe(fresh))
})

describe("POST /topapi/user/getbyunionid", () => {
  it.effect("gives the userid", () =>
    Effect.gen(function*() {
      const token = yield* appToken
      const answer = yield* post(`/topapi/user/getbyunionid?access_token=${token}`, { unionid: "z21HjQliSzpw0YWxxxxx" })
      const { errcode, errmsg, result } = json(answer)
      assert.deepStrictEqual({ errcode, errmsg, result }, {
        errcode: 0,
        errmsg: "ok",
        result: { contact_type: 0, userid: "zhangsan" }
      })
    }).pipe(fresh))
})

describe("GET /v1.0/contact/users/{unionId}", () => {
  it.effect("me, as in the guide", () =>
    Effect.gen(function*() {
      const { accessToken } = yield* signIn()
      assert.deepStrictEqual(json(yield* me(accessToken)), {
        nick: "zhangsan",
        avatarUrl: "https://xxx",
        mobile: "150xxxx9144",
        openId: "123",
        unionId: "z21HjQliSzpw0YWxxxxx",
        email: "zhangsan@example.com",
        stateCode: "86"
      })
    }).pipe(fresh))

  it.effect("another person, percent-encoded, and only within the contact range", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addUser({ userid: "odd", unionid: "a/b +%你", name: "Odd" })
      const { accessToken } = yield* signIn()
      const odd = json(yield* me(accessToken, encodeURIComponent("a/b +%你")))
      assert.deepStrictEqual([odd.unionId, odd.nick], ["a/b +%你", "Odd"])
      assert.strictEqual((yield* me(accessToken, "%zz")).status, 404)
      yield* emulator.updateApplication("dingquickstart", { contactRange: ["lisi"] })
      assert.strictEqual((yield* me(accessToken, encodeURIComponent("a/b +%你"))).status, 404)
      assert.strictEqual((yield* me(accessToken)).status, 200)
    }).pipe(fresh))

  it.effect("the mobile number needs its own permission; a person who left is not found", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const { accessToken } = yield* signIn()
      yield* emulator.revoke("Contact.User.mobile")
      assert.notProperty(json(yield* me(accessToken)), "mobile")
      yield* emulator.removeUser("zhangsan")
      assert.strictEqual((yield* me(accessToken)).status, 404)
    }).pipe(fresh))
})
