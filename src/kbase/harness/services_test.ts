import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, unzipSync, zipSync } from "fflate";
import { createHost } from "../../platform/host.ts";
import { AbstractHandle } from "../clients/abstract_handle.ts";
import { Auth } from "../clients/auth.ts";
import { Blobstore } from "../clients/blobstore.ts";
import { upaOf } from "../clients/data_file_util.ts";
import type { Progress } from "../clients/progress.ts";
import { ServiceWizard } from "../clients/service_wizard.ts";
import { Workspace } from "../clients/workspace.ts";
import type { StandIn } from "./answer.ts";
import { dataFileUtil } from "./data_file_util.ts";
import { kbaseReport } from "./kbase_report.ts";
import { LocalServices, PATHS } from "./services.ts";
import { SharedTmp } from "./shared_tmp.ts";
import { LocalStore } from "./store.ts";

const TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const TMP = "/kb/module/work/tmp";

/** All stand-ins over one store, with the services at an address of their own. */
async function withServices(
  work: (around: Awaited<ReturnType<typeof services>>) => Promise<void>,
): Promise<void> {
  const around = await services();
  try {
    await work(around);
  } finally {
    await around.close();
  }
}

async function services() {
  const host = createHost();
  const { files, clock } = host;
  const directory = await Deno.realPath(await Deno.makeTempDir());
  const tmp = join(directory, "tmp");
  await mkdir(tmp);
  const store = await LocalStore.open(host, join(directory, "saved"), null, "somebody");
  store.makeWorkspace("lab");
  const call = { provenance: [{ service: "Main" }] };
  const local = new LocalServices({ files, store, token: TOKEN, url: (): string => url, call: () => call });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => await local.answer(request) ?? new Response(null, { status: 404 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const shared = new SharedTmp(files, tmp, [TMP]);
  const options = { files, store, tmp: shared, blobUrl: () => url, uuid: () => crypto.randomUUID() };
  const surroundings = { clock, signal: new AbortController().signal, token: TOKEN as string | null };
  const asking = (methods: StandIn) => async (name: string, params: unknown) => {
    // deno-lint-ignore no-explicit-any
    const [result]: any = await methods[name]!([params], call);
    return result;
  };
  return {
    directory,
    tmp,
    files,
    store,
    url,
    surroundings,
    dfu: asking(dataFileUtil(options)),
    report: asking(kbaseReport(options)),
    close: async () => {
      await server.shutdown();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test("Blobstore streams a file up and down, tells how far it is, and leaves no part of one", async () => {
  await withServices(async ({ directory, files, url, surroundings }) => {
    const seen: Progress[] = [];
    const watcher = (progress: Progress) => void seen.push(progress);
    const blobs = new Blobstore(surroundings, files, `${url}${PATHS.blobstore}/`, { watcher });
    const content = crypto.getRandomValues(new Uint8Array(65_000));
    const big = new Uint8Array(3_000_000).map((_, at) => content[at % content.length]!);
    await writeFile(join(directory, "a:b.bin"), big);
    const node = await blobs.upload(join(directory, "a:b.bin"));
    assert.deepEqual([node.file.name, node.file.size], ["a_b.bin", big.length]);
    assert.equal(await blobs.download(node.id, join(directory, "back"), big.length), big.length);
    assert.deepEqual(new Uint8Array(await readFile(join(directory, "back"))), big);
    assert.deepEqual(seen.filter(({ isDone }) => isDone).map(({ what, bytes }) => [what, bytes]).at(-1), [
      "download a_b.bin",
      big.length,
    ]);
    await assert.rejects(blobs.download(node.id, join(directory, "small"), 1_000), /service_too_large/);
    await writeFile(join(directory, "empty"), "");
    await assert.rejects(blobs.upload(join(directory, "empty")), /service_refused/);
    await assert.rejects(blobs.node(crypto.randomUUID()), /answered 404: Node not found \(service_refused\)/);
    const stranger = new Blobstore({ ...surroundings, token: "WRONG" }, files, `${url}${PATHS.blobstore}`);
    await assert.rejects(stranger.node(node.id), /service_denied/);
    assert.deepEqual((await files.list(directory)).filter((name) => name.includes("small")), []);
  });
});

Deno.test("Blobstore removes what came of a file that breaks off", async () => {
  await withServices(async ({ directory, files, surroundings }) => {
    const node = { id: "n", file: { name: "f", size: 10, checksum: { md5: null } } };
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) =>
        request.url.includes("download")
          ? new Response("four")
          : Response.json({ status: 200, data: node, error: null }),
    );
    const blobs = new Blobstore(surroundings, files, `http://127.0.0.1:${server.addr.port}`);
    await assert.rejects(
      blobs.download("n", join(directory, "part"), 100),
      /4 of 10 bytes came \(service_cut_off\)/,
    );
    assert.equal(await files.info(join(directory, "part")), null);
  });
});

Deno.test("Workspace, AbstractHandle, Auth and ServiceWizard understand what answers in KBase's place", async () => {
  await withServices(async ({ url, surroundings, store }) => {
    const workspace = new Workspace(surroundings, `${url}${PATHS.workspace}`);
    assert.match(await workspace.version(), /^\d+\.\d+\.\d+$/);
    const [info] = await workspace.save({ workspace: "lab" }, [{
      type: "M.T-1.0",
      name: "one",
      data: { b: 1 },
    }]);
    assert.equal(upaOf(info!), "1/1/1");
    await workspace.save({ id: 1 }, [{ type: "M.T-1.0", name: "one", data: { b: 2 } }]);
    const found = await workspace.objects(["lab/one", "1/1/1", "9/9/9;lab/one/2"]);
    assert.deepEqual(found.map(({ data }) => data), [{ b: 2 }, { b: 1 }, { b: 2 }]);
    assert.equal((await workspace.infos(["lab/one"]))[0]![4], 2);
    assert.deepEqual(await workspace.workspaceInfo({ workspace: "lab" }), {
      id: 1,
      name: "lab",
      owner: "somebody",
    });
    for (
      const [ref, message] of [["lab/none", /No object with name none/], [
        "no/x",
        /No workspace with name no/,
      ]] as const
    ) {
      await assert.rejects(workspace.objects([ref]), message);
    }

    const file = await store.addFile("f.txt", new Blob(["x"]).stream());
    const handles = new AbstractHandle(surroundings, `${url}${PATHS.handle}`);
    const hid = await handles.persist({ id: file.id, url });
    const [known, unknown] = await handles.resolve([hid, "KBH_999"]);
    assert.deepEqual([known?.id, unknown], [file.id, null]);
    await assert.rejects(handles.resolve(["nonsense"]), /Invalid hid/);

    const auth = new Auth(surroundings, `${url}${PATHS.auth}/api/legacy/KBase/Sessions/Login`);
    assert.equal((await auth.token()).user, "somebody");
    assert.equal((await auth.me()).user, "somebody");
    const stranger = { ...surroundings, token: "WRONG" };
    await assert.rejects(
      new Auth(stranger, `${url}${PATHS.auth}`).me(),
      /10020 Invalid token \(service_denied\)/,
    );
    await assert.rejects(
      new Workspace(stranger, `${url}${PATHS.workspace}`).objects(["lab/one"]),
      /service_refused/,
    );
    await assert.rejects(
      new ServiceWizard(surroundings, `${url}${PATHS.wizard}`).locate("M"),
      /No module version found/,
    );
  });
});

Deno.test("ServiceWizard.client() refuses a service on another host, which would get the token", async () => {
  const { clock } = createHost();
  const status = { url: "https://elsewhere.example/M", module_name: "M" };
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => Response.json({ result: [status] }),
  );
  const surroundings = { clock, signal: new AbortController().signal, token: TOKEN };
  const wizard = new ServiceWizard(surroundings, `http://127.0.0.1:${server.addr.port}`);
  await assert.rejects(wizard.client("M"), /another host, elsewhere\.example \(service_redirected\)/);
});

Deno.test("DataFileUtil packs a directory into itself, and refuses what the real one refuses", async () => {
  await withServices(async ({ dfu, tmp, store }) => {
    await mkdir(join(tmp, "d/deep"), { recursive: true });
    await writeFile(join(tmp, "d/a.txt"), "alpha");
    await writeFile(join(tmp, "d/deep/b.txt"), "beta");
    await writeFile(join(tmp, "loose.txt"), "loose");
    await mkdir(join(tmp, "empty"));
    const stored = await dfu("file_to_shock", { file_path: `${TMP}/d`, pack: "zip", make_handle: 1 });
    assert.equal(stored.node_file_name, "d.zip");
    const bytes = await readFile(store.file(stored.shock_id)!.path);
    assert.deepEqual(Object.keys(unzipSync(bytes)).sort(), ["a.txt", "deep/b.txt"]);
    assert.equal(stored.size, bytes.length);
    assert.equal(store.handle(stored.handle.hid)!.nodeId, stored.shock_id);
    const tar = await dfu("pack_file", { file_path: `${TMP}/d/deep/b.txt`, pack: "targz" });
    assert.equal(tar.file_path, `${TMP}/d/deep/b.txt.tar.gz`);
    const unpacked = gunzipSync(await readFile(join(tmp, "d/deep/b.txt.tar.gz")));
    assert.equal(new TextDecoder().decode(unpacked.subarray(0, 5)), "b.txt");
    await symlink("/etc/hostname", join(tmp, "link"));
    const refused: [object, RegExp][] = [
      [{ file_path: `${TMP}/d`, pack: "none" }, /^Invalid pack value: none$/],
      [{ file_path: TMP, pack: "zip" }, /is parent of result archive file/],
      [{ file_path: `${TMP}/loose.txt`, pack: "zip" }, /is parent of result archive file/],
      [{ file_path: `${TMP}/empty`, pack: "zip" }, /is empty$/],
      [{ file_path: `${TMP}/absent` }, /^No such file/],
      [{ file_path: "/etc/hostname" }, /other modules cannot see it$/],
      [{ file_path: `${TMP}/../../../etc/hostname` }, /other modules cannot see it$/],
      [{ file_path: `${TMP}/link` }, /a link that leads out of the scratch directory$/],
    ];
    for (const [params, message] of refused) await assert.rejects(dfu("file_to_shock", params), { message });
  });
});

Deno.test("DataFileUtil brings a file to a path or into a directory, and unpacks by what it holds", async () => {
  await withServices(async ({ dfu, tmp, store }) => {
    const stored = await store.addFile("n.txt", new Blob(["text"]).stream());
    const shock_id = stored.id;
    const into = await dfu("shock_to_file", { shock_id, file_path: `${TMP}/new/` });
    assert.deepEqual([into.file_path, into.size], [`${TMP}/new/n.txt`, 4]);
    const exact = await dfu("shock_to_file", { shock_id, file_path: `${TMP}/x/y` });
    assert.equal(await readFile(join(tmp, "x/y"), "utf8"), "text");
    assert.equal(exact.node_file_name, "n.txt");
    await assert.rejects(
      dfu("shock_to_file", { shock_id, file_path: `${TMP}/z`, unpack: "none" }),
      /^RpcError|Illegal unpack value: none/,
    );
    await assert.rejects(dfu("shock_to_file", { shock_id, handle_id: "KBH_1", file_path: TMP }), /not both/);
    const archive = zipSync({ "in/side.txt": new TextEncoder().encode("s") });
    const packed = await store.addFile("named.dat", new Blob([archive as Uint8Array<ArrayBuffer>]).stream());
    await dfu("shock_to_file", { shock_id: packed.id, file_path: `${TMP}/u/named.dat`, unpack: "unpack" });
    assert.equal(await readFile(join(tmp, "u/in/side.txt"), "utf8"), "s");
    const slip = zipSync({ "../../slip.txt": new TextEncoder().encode("s") });
    const evil = await store.addFile("evil.zip", new Blob([slip as Uint8Array<ArrayBuffer>]).stream());
    const asked = { shock_id: evil.id, file_path: `${TMP}/u/evil.zip`, unpack: "unpack" };
    await assert.rejects(dfu("shock_to_file", asked), /Dangerous archive file/);
  });
});

Deno.test("DataFileUtil gives objects and saves them with the provenance of the job", async () => {
  await withServices(async ({ dfu, store }) => {
    assert.equal(await dfu("ws_name_to_id", "lab"), 1);
    await assert.rejects(dfu("ws_name_to_id", "none"), /No workspace with name none exists/);
    const object = {
      type: "M.T-1.0",
      name: "o",
      data: { b: 1, a: { d: 1, c: 2 } },
      extra_provenance_input_refs: ["1/2/3"],
    };
    await dfu("save_objects", { id: 1, objects: [object] });
    const [saved] = store.saved;
    assert.equal(JSON.stringify(saved!.data), '{"a":{"c":2,"d":1},"b":1}');
    assert.deepEqual(saved!.provenance, [{ service: "Main", input_ws_objects: ["1/2/3"] }]);
    await assert.rejects(dfu("save_objects", { objects: [object] }), /id missing/);
    const { data } = await dfu("get_objects", { object_refs: ["lab/o", "lab/none"], ignore_errors: 1 });
    assert.deepEqual([data[0].data.b, data[1]], [1, null]);
    await assert.rejects(dfu("get_objects", { object_refs: [] }), /no objects specified/);
  });
});

Deno.test("KBaseReport is as strict as the module, and keeps pages as zips", async () => {
  await withServices(async ({ report, tmp, store }) => {
    await mkdir(join(tmp, "pages"));
    await writeFile(join(tmp, "pages/index.html"), "<p>");
    const page = { name: "index.html", path: `${TMP}/pages` };
    const made = await report("create_extended_report", {
      workspace_name: "lab",
      message: "hello",
      html_links: [page],
      direct_html_link_index: 0,
    });
    assert.equal(made.ref, "1/1/1");
    // deno-lint-ignore no-explicit-any
    const { html_links: [link] } = store.object(made.ref).data as any;
    const zip = store.file(store.handle(link.handle)!.nodeId)!;
    assert.deepEqual(Object.keys(unzipSync(await readFile(zip.path))), ["index.html"]);
    const text = await store.addFile("t.txt", new Blob(["no zip"]).stream());
    const refused: [object, RegExp][] = [
      [{ message: "m" }, /workspace_id or workspace_name/],
      [{ workspace_name: "lab", unknown: 1 }, /unknown: is not a known field/],
      [{ workspace_name: "lab", html_links: [page] }, /must come together/],
      [{ workspace_name: "lab", html_links: [page], direct_html_link_index: 1 }, /list index out of range/],
      [
        { workspace_name: "lab", html_links: [page], direct_html_link_index: 0, html_window_height: 500.5 },
        /whole number/,
      ],
      [{ workspace_name: "lab", file_links: [{ name: "x" }] }, /exactly one of path, shock_id and template/],
      [
        { workspace_name: "lab", html_links: [{ ...page, name: "none.html" }], direct_html_link_index: 0 },
        /none\.html is not in/,
      ],
      [
        { workspace_name: "lab", html_links: [{ name: "i", shock_id: text.id }], direct_html_link_index: 0 },
        /must be a zip file/,
      ],
      [{ workspace_name: "lab", objects_created: [{ ref: "" }] }, /ref/],
    ];
    for (const [params, message] of refused) {
      await assert.rejects(report("create_extended_report", params), message, JSON.stringify(params));
    }
  });
});

Deno.test("the Blobstore's stand-in gives ranges, copies and deletes, and knows no sharing", async () => {
  await withServices(async ({ url, store }) => {
    const { id } = await store.addFile("n\u00e4.txt", new Blob(["0123456789"]).stream(), "txt");
    const base = `${url}${PATHS.blobstore}/node/${id}`;
    const authorization = `OAuth ${TOKEN}`;
    const ask = (path: string, method = "GET") => fetch(base + path, { method, headers: { authorization } });
    const range = await ask("?download_raw&seek=2&length=3");
    assert.deepEqual([await range.text(), range.headers.get("content-disposition")], ["234", null]);
    const whole = await ask("?download&seek=7");
    assert.deepEqual([await whole.text(), whole.headers.get("content-disposition")], [
      "789",
      "attachment; filename=n_.txt",
    ]);
    for (const wrong of ["seek=10", "seek=-1", "length=x"]) {
      const refused = await ask(`?download&${wrong}`);
      assert.equal(refused.status, 400, wrong);
      await refused.body?.cancel();
    }
    const copy = (await (await ask("/copy", "POST")).json()).data;
    assert.deepEqual([copy.id === id, copy.format, copy.file.size], [false, "txt", 10]);
    const acl = (await (await ask("/acl")).json()).data;
    assert.equal(acl.public.read, false);
    assert.deepEqual([(await (await ask("/acl/public_read", "PUT")).json()).status], [405]);
    assert.deepEqual(await (await ask("", "DELETE")).json(), { status: 200, data: null, error: null });
    assert.equal((await (await ask("")).json()).status, 404);
    assert.notEqual(store.file(copy.id), null);
  });
});

Deno.test("the stand-ins name objects by number, handles by their files, and word errors as the services do", async () => {
  await withServices(async ({ url, dfu, store }) => {
    await store.save("lab", { type: "M.T-1.0", name: "o", data: {} });
    const [info] = await dfu("save_objects", {
      id: 1,
      objects: [{ type: "M.T-1.0", objid: 1, data: { a: 1 } }],
    });
    assert.deepEqual([info[1], info[4]], ["o", 2]);
    const both = { type: "M.T-1.0", objid: 1, name: "o", data: {} };
    await assert.rejects(dfu("save_objects", { id: 1, objects: [both] }), /either a name or an objid/);
    const ask = async (path: string, method: string, params: unknown) => {
      const body = JSON.stringify({ version: "1.1", id: "1", method, params });
      return await (await fetch(url + path, { method: "POST", body, headers: { authorization: TOKEN } }))
        .json();
    };
    const { error } = await ask(PATHS.workspace, "Workspace.get_objects2", [{
      objects: [{ ref: "lab/none" }],
    }]);
    assert.deepEqual([error.name, error.code], ["JSONRPCError", -32500]);
    const object = { objects: [{ ref: "lab/o" }] };
    const { result: [{ infos: [short] }] } = await ask(PATHS.workspace, "Workspace.get_object_info3", [
      object,
    ]);
    assert.deepEqual([short[1], short[10]], ["o", null]);
    const file = await store.addFile("f", new Blob(["f"]).stream());
    const { hid } = store.addHandle(file);
    const { result: [[handle]] } = await ask(PATHS.handle, "AbstractHandle.ids_to_handles", [[file.id]]);
    assert.deepEqual([handle.hid, handle.id], [hid, file.id]);
    const malformed = await ask(PATHS.handle, "AbstractHandle.hids_to_handles", [["x"]]);
    assert.equal(malformed.error.code, -32000);
  });
});
