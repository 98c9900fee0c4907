/**
 * What the server says, as literal text: the bytes are the same for every contender. Source: reference 6.2, 6.3 and
 * 1.2; the person is made up, and every field that is filled in practice is filled.
 */
export const USER_ID = "200412345678901234"
export const NAME = "王小明"
export const NICK = "小明"
export const TOKEN = "fw8ef8we8f76e6f7s8df8s0123456789abcdef"
export const USER_TOKEN = "9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e"

export const GET_USER = "/topapi/v2/user/get"
export const GET_PROFILE = "/v1.0/contact/users/me"
export const GET_TOKEN = "/v1.0/oauth2/accessToken"

export const user = `{"errcode":0,"errmsg":"ok","result":{"active":true,"admin":true,"avatar":"https://static-legacy.\
dingtalk.com/media/lADPDgQ9rBkfTdLNAljNAlg_600_600.jpg","boss":false,"create_time":"2024-07-15T07:05:43.000Z",\
"dept_id_list":[1,919684607],"dept_order_list":[{"dept_id":1,"order":179997318850453160},{"dept_id":919684607,"order":\
176220178909140512}],"email":"xiaoming.wang@example.com","exclusive_account":false,"extension":"{\\"爱好\\":\\"旅游\\",\
\\"工位\\":\\"A-1024\\"}","hide_mobile":false,"hired_date":1721001600000,"job_number":"10042","leader_in_dept":[{"dept_id"\
:919684607,"leader":false},{"dept_id":1,"leader":true}],"manager_userid":"200498765432109876","mobile":"18612345678",\
"name":"${NAME}","real_authed":true,"remark":"","role_list":[{"group_name":"默认","id":4065312371,"name":"主管"},\
{"group_name":"职务","id":4065312398,"name":"工程师"}],"senior":false,"state_code":"86","telephone":"0571-12345678",\
"title":"技术总监","unionid":"z21HjQliSzpw0Yiii8iEiE","userid":"${USER_ID}","work_place":"未来park"},\
"request_id":"16m9qc9gk65kv"}`

export const profile =
  `{"nick":"${NICK}","avatarUrl":"https://static-legacy.dingtalk.com/media/lADPDgQ9rBkfTdLNAljNAlg_\
600_600.jpg","mobile":"18612345678","openId":"liSii8KCxxxxxiE","unionId":"z21HjQliSzpw0Yiii8iEiE","email":\
"xiaoming.wang@example.com","stateCode":"86","visitor":false}`

export const token = `{"accessToken":"${TOKEN}","expireIn":7200}`
