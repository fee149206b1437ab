import assert from "node:assert/strict";
import { connect } from "node:net";
import { ROUTES } from "../../src/server/routes/table.ts";
import { script, settled, startRig, submit } from "./http_support.ts";

/** Sends a request over a bare connection, gives the status and closes. */
function statusOf(port: number, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(request, "latin1"));
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`Closed after ${JSON.stringify(answer)}`)));
    socket.on("data", (data) => {
      answer += data;
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1];
      if (status === undefined) return;
      socket.removeAllListeners("close");
      socket.destroy();
      resolve(Number(status));
    });
  });
}

function requestText(method: string, path: string, headers: Record<string, string | null>): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}`]
  );
  return [`${method} ${path} HTTP/1.1`, ...lines, "Connection: close", "", ""].join("\r\n");
}

/** Runs the rows, some at a time: one after another they would take long. */
async function each<Row>(rows: readonly Row[], run: (row: Row) => Promise<void>): Promise<void> {
  const waiting = rows.values();
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (const row of waiting) await run(row);
  }));
}

function callers(port: number) {
  const hosts = [
    { host: `127.0.0.1:${port}`, status: null },
    { host: `localhost:${port}`, status: null },
    { host: "127.0.0.1:1", status: 421 },
    { host: `evil.example:${port}`, status: 421 },
    { host: null, status: 400 },
  ];
  const origins = [
    { origin: null, status: null },
    { origin: `http://127.0.0.1:${port}`, status: null },
    { origin: `http://evil.example:${port}`, status: 403 },
    { origin: `https://127.0.0.1:${port}`, status: 403 },
    { origin: "http://127.0.0.1:1", status: 403 },
    { origin: "null", status: 403 },
  ];
  return hosts.flatMap((a) =>
    origins.map((b) => ({ host: a.host, origin: b.origin, refused: a.status ?? b.status }))
  );
}

Deno.test("no route answers a foreign Host or Origin, whatever the method", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("true"));
  await settled(rig, id);
  const paths = [...new Set(ROUTES.map(({ path }) => path.replace(":id", id).replace(/:name.*/, "exec")))];
  const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
  const rows = callers(rig.port).flatMap((caller) =>
    [...paths, "/nope"].flatMap((path) => methods.map((method) => ({ ...caller, path, method })))
  );
  assert.ok(rows.length >= 30 * 6 * 20, String(rows.length));
  let accepted = 0;
  await each(rows, async ({ host, origin, path, method, refused }) => {
    const status = await statusOf(rig.port, requestText(method, path, { Host: host, Origin: origin }));
    const what = `${method} ${path} Host ${host} Origin ${origin}: ${status}`;
    if (refused !== null) return assert.equal(status, refused, what);
    assert.ok(![400, 403, 421, 500].includes(status) || (status === 400 && path === `/ws/${id}`), what);
    accepted += 1;
  });
  assert.equal(accepted, 4 * (paths.length + 1) * methods.length);
  // What was let through and changes anything is the right callers' retry, once for each of them.
  const jobs = await (await fetch(`${rig.url}/api/v1/jobs`)).json();
  assert.equal(jobs.jobs.length, 1 + 4);
});

Deno.test("no socket opens for a foreign Host or Origin", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("true"));
  const upgrade = {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
  };
  for (const { host, origin, refused } of callers(rig.port)) {
    const request = requestText("GET", `/ws/${id}`, { Host: host, Origin: origin, ...upgrade });
    const status = await statusOf(rig.port, request.replace("Connection: close\r\n", ""));
    assert.equal(status, refused ?? 101, `Host ${host} Origin ${origin}`);
  }
});

Deno.test("more names that are not this server's are refused", async () => {
  await using rig = await startRig();
  const { port } = rig;
  const rows: [headers: Record<string, string>, path: string, statuses: number[]][] = [
    [{ Host: `[::1]:${port}` }, "/health", [200]],
    [{ Host: `LOCALHOST:${port}` }, "/health", [200]],
    [{ Host: "127.0.0.1" }, "/health", [421]],
    [{ Host: `localhost.:${port}` }, "/health", [421]],
    [{ Host: `127.0.0.1.nip.io:${port}` }, "/health", [421]],
    [{ Host: `127.0.0.1:${port}@evil.example` }, "/health", [400, 421]],
    [{ Host: `0.0.0.0:${port}` }, "/health", [421]],
    [{ Host: "" }, "/health", [400]],
    [{ Host: `127.0.0.1:${port}` }, `http://127.0.0.1:${port}/health`, [200]],
    [{ Host: `127.0.0.1:${port}` }, "http://evil.example/health", [400, 421]],
    [{ Host: "evil.example" }, `http://127.0.0.1:${port}/health`, [400, 421]],
  ];
  for (const [headers, path, statuses] of rows) {
    const status = await statusOf(port, requestText("GET", path, headers));
    assert.ok(statuses.includes(status), `${JSON.stringify(headers)} ${path}: ${status}`);
  }
  const two = `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: evil.example\r\n\r\n`;
  assert.equal(await statusOf(port, two), 400);
});

Deno.test("a browser's word that another site asks is believed", async () => {
  await using rig = await startRig();
  const rows: [site: string, mode: string, status: number][] = [
    ["none", "navigate", 200],
    ["same-origin", "cors", 200],
    ["same-site", "navigate", 200],
    ["same-site", "no-cors", 403],
    ["same-site", "cors", 403],
    ["cross-site", "navigate", 403],
    ["cross-site", "no-cors", 403],
    ["something-new", "cors", 403],
  ];
  for (const [site, mode, status] of rows) {
    const headers = { Host: `127.0.0.1:${rig.port}`, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode };
    assert.equal(await statusOf(rig.port, requestText("GET", "/health", headers)), status, `${site} ${mode}`);
  }
});
