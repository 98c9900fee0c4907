/**
 * One exchange over the wire, without a socket and without a class of any HTTP library.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly method: string
  /** percent-encoded; may carry its own `?query` */
  readonly path: string
  /** `a=1&b=2`, percent-encoded, without the question mark */
  readonly query?: string | undefined
  /** names in any case */
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined
  readonly body?: string | undefined
  /** for the IP white list; `127.0.0.1` if left out */
  readonly remoteAddress?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Response {
  readonly status: number
  /** names in lower case */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
