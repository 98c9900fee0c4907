import type { Fault } from "../Fault.js"
import { ipRefusal } from "./access.js"
import type { Answer } from "./answer.js"
import { apiError, apiName, oapiError, oapiRefusal, raw } from "./answer.js"
import type { Call } from "./call.js"
import type { Routed } from "./routes.js"

/** `yyyy-MM-dd HH:mm:ss` in the platform's time zone, +08:00. */
const timeText = (millis: number): string =>
  new Date(millis + 8 * 3600 * 1000).toISOString().slice(0, 19).replace("T", " ")

const DENIED = "Forbidden.AccessDenied"

// The sentence of 90002 that was seen (reference 4.3 [R]).
const overLimit = (call: Call, calls: number): string =>
  `apiPath(${apiName(call.path)}), 从 ${timeText(call.now)} 到 ${
    timeText(call.now)
  } 请求总次数超过 ${calls} 次, 限制将在 ${timeText(call.now + 1000)} 结束.`

// [D]; the new gateway's text was not seen and is taken to be the same [I].
const QUOTA = "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次,请登录开发者后台-资源管理-查看用量明细"

// The page and both statuses are [I], made from the marks of Alibaba's guard, "x5", by which a client tells its page from
// a proxy's; only the JSON is documented (reference 5).
const bannedPage = (call: Call): string => {
  // Other characters of a path are not let into the script.
  const path = call.path.replace(/[^\w./-]/g, "")
  return `<!doctype html>
<html>
<head>
<meta charset="utf-8">
<title>403</title>
<script>
window._config_ = {
  "action": "deny",
  "url": "${path}/_____tmd_____/punish?x5secdata=xxx&x5step=1"
};
</script>
</head>
<body>
<p>Sorry, we have detected unusual traffic from your network.</p>
<script src="/_____tmd_____/punish?x5secdata=xxx&x5step=1&action=deny"></script>
</body>
</html>
`
}

// Two endpoints have a code of their own (reference 1.5 and 1.7 [D]); the texts are [I].
const BUSY: Readonly<Record<string, string>> = { "/v1.0/oauth2/jsapiTickets": "systemBusy" }

export const faultAnswer = (
  fault: Exclude<Fault, { readonly _tag: "Delay" }>,
  call: Call,
  gateway: Routed["gateway"],
  clientId: string | undefined,
  rateLimit: number,
  isThirdParty: boolean
): Answer => {
  const isApi = gateway === "api"
  switch (fault._tag) {
    case "Throttled": {
      // A third-party app is counted by customer: codes [C][D], texts from the documentation as far as it goes [I].
      if (isThirdParty) {
        const message = "您的ISV应用调用钉钉开放平台当前接口的所有请求都被暂时禁用了"
        return isApi
          ? apiError(call, 403, `${DENIED}.QpsLimitForSuitekeyAndOrgAndApi`, message)
          : oapiRefusal(call, "90019", `${message}, ${overLimit(call, rateLimit === Infinity ? 40 : rateLimit)}`)
      }
      // The code was seen, the text is modelled on 90002 (reference 10.5 [I]).
      const message = "您的企业应用调用钉钉开放平台当前接口的所有请求都被暂时禁用了"
      return isApi
        ? apiError(call, 403, `${DENIED}.QpsLimitForAppkeyAndApi`, message)
        : oapiRefusal(call, "90018", `${message}, ${overLimit(call, rateLimit === Infinity ? 20 : rateLimit)}`)
    }
    case "ThrottledGlobally":
      return isApi
        ? apiError(
          call,
          403,
          `${DENIED}.QpsLimitForApi`,
          "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了"
        )
        : oapiRefusal(
          call,
          "90002",
          "当前所有钉钉应用调用该接口次数过多，超出了该接口承受的最大qps，请求被暂时限制了，建议错开整点时刻调用该接口, " +
            overLimit(call, 1200)
        )
    case "QuotaExhausted":
      return isApi ? apiError(call, 403, `${DENIED}.ApiCountLimitForOrg`, QUOTA) : oapiError(call, 90020, QUOTA)
    case "Busy": {
      const own = BUSY[call.path] ?? (/^\/v1\.0\/oauth2\/[^/]+\/token$/.test(call.path) ? "server.error" : undefined)
      if (own !== undefined) return apiError(call, 500, own, "系统繁忙")
      // Reference 4.1: the code of a 503 may be a dash; its message was not seen [I].
      return isApi ? apiError(call, 503, "-", "系统繁忙") : oapiError(call, -1, "系统繁忙")
    }
    case "IpNotAllowed":
      return isApi
        ? apiError(call, 403, `${DENIED}.IpNotInWhiteList`, "访问ip不在白名单之中")
        : oapiRefusal(call, "60020", ipRefusal(fault.ip, clientId ?? ""))
    case "IpBanned":
      return fault.as === "html"
        ? raw(call, 403, { "content-type": "text/html;charset=utf-8" }, bannedPage(call))
        : raw(call, 200, {}, "{\"status\":1111,\"wait\":5,\"source\":\"x5\",\"punish\":\"deny\",\"uuid\":\"xxx\"}")
    case "Respond":
      return raw(
        call,
        fault.status,
        Object.fromEntries(Object.entries(fault.headers).map(([name, value]) => [name.toLowerCase(), value])),
        fault.body
      )
  }
}
