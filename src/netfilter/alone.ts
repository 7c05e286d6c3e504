/** Entry of the bundle that is handed to a bare Deno through its standard input. */
import { runNetFilter } from "./main.ts";

Deno.exit(await runNetFilter(Deno.args));
