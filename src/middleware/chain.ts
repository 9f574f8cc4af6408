import { middleware } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { text } from "../schema/kinds.ts";

export default middleware({
  name: "chain",
  summary: "Stands for several middlewares in a row.",

  options: {
    middlewares: list(text)({
      doc: "Names of the middlewares, in order.",
      required: true,
      example: "auth,compress@file",
    }),
  },

  check({ middlewares }, problem) {
    if (middlewares.length === 0) problem("middlewares", "must name at least one middleware");
  },

  // Snapshots hold the members in the chain's place; a chain by itself changes nothing.
  create: () => ({}),
});
