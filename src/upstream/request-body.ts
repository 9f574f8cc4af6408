import type { BodySink } from "../model/body.ts";
import type { Http1Call } from "./http1-call.ts";

/** Lets the request's body flow to the call, through the transforms that middlewares put in its way. */
export function pumpBody(call: Http1Call): void {
  const { requestTransforms, requestBody } = call.exchange;
  let sink: BodySink = call;
  if (requestTransforms !== undefined) {
    for (let i = requestTransforms.length - 1; i >= 0; i--) sink = requestTransforms[i]!(sink, requestBody);
  }
  requestBody.flow(sink);
}
