/** A yardstick: a process of Node that does nothing, for what the runtime itself takes. */

console.log(JSON.stringify({ port: 0 }));
setInterval(() => undefined, 60_000);
