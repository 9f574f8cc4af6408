import { main } from "./cli/main.ts";

// Exits rather than waits: nothing that is left open may keep a process alive whose work is done.
process.exit(await main(process.argv.slice(2)));
