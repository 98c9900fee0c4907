import { forEachDatabase, only } from "./databases.js"
import { contract } from "./suite/contract.js"

await forEachDatabase(contract, [only.postgres])
