import assert from "node:assert/strict";
import { createMemoryHost } from "../platform/memory.ts";
import { TokenChecker, TokenError } from "./token_checker.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly body: string;
}

/** An auth service that answers everything with `answer`, and what it was asked. */
async function withService(
  answer: () => Response,
  work: (base: string, asked: readonly Asked[]) => Promise<void>,
): Promise<void> {
  const asked: Asked[] = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname: path } = new URL(request.url);
    const authorization = request.headers.get("authorization");
    asked.push({ method: request.method, path, authorization, body: await request.text() });
    return answer();
  });
  await work(`http://127.0.0.1:${server.addr.port}`, asked);
}

async function refusal(checking: Promise<string>): Promise<TokenError> {
  const error = await checking.then(() => null, (error) => error);
  assert.ok(error instanceof TokenError);
  return error;
}

Deno.test("userOf() asks the newer interface for a legacy login URL, and remembers for five minutes", async () => {
  await withService(() => Response.json({ user: "u", type: "Login" }), async (base, asked) => {
    const { clock } = createMemoryHost();
    const url = `${base}/services/auth/api/legacy/KBase/Sessions/Login`;
    const checker = TokenChecker.from(clock, { "auth-service-url": url })!;
    assert.deepEqual([await checker.userOf("T"), await checker.userOf("T")], ["u", "u"]);
    const path = "/services/auth/api/V2/token";
    assert.deepEqual(asked, [{ method: "GET", path, authorization: "T", body: "" }]);
    await clock.advance(5 * 60_000 + 1);
    await checker.userOf("T");
    assert.equal(asked.length, 2);
  });
});

Deno.test("userOf() posts a form to a URL of another shape, and keeps the token out of it", async () => {
  await withService(() => Response.json({ user_id: "u" }), async (base, asked) => {
    const checker = new TokenChecker(createMemoryHost().clock, `${base}/login`, false);
    assert.equal(await checker.userOf("T"), "u");
    assert.deepEqual(asked, [{
      method: "POST",
      path: "/login",
      authorization: null,
      body: "token=T&fields=user_id",
    }]);
  });
});

Deno.test("userOf() tells the service's own no from a service that gives no answer", async () => {
  const answers: [Response, boolean, RegExp][] = [
    [Response.json({ error: { message: "10020 Invalid token" } }, { status: 401 }), true, /401: 10020/],
    [new Response("<html>", { status: 200 }), false, /200: no user/],
    [Response.json({ user: "" }), false, /no user/],
    [new Response("down", { status: 503 }), false, /503/],
    [new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }), false, /302/],
    [new Response("x".repeat(100_000)), false, /longer than 65536 bytes/],
  ];
  for (const [answer, refused, message] of answers) {
    await withService(() => answer, async (base) => {
      const checker = new TokenChecker(createMemoryHost().clock, `${base}/api/legacy/x`, false);
      const error = await refusal(checker.userOf("T"));
      assert.equal(error.refused, refused);
      assert.match(error.message, message);
    });
  }
});

Deno.test("userOf() sends no token without encryption to another machine, unless it was told to", async () => {
  const { clock } = createMemoryHost();
  const error = await refusal(new TokenChecker(clock, "http://auth.example/api/legacy/x", false).userOf("T"));
  assert.match(error.message, /must be https/);
  assert.equal(TokenChecker.from(clock, {}), null);
});
