import { GlassboxError } from "../../core/errors.ts";
import type { Files } from "../../core/host.ts";
import type { TaskContext } from "../../core/task.ts";
import { AbstractHandle } from "./abstract_handle.ts";
import { Auth } from "./auth.ts";
import { Blobstore } from "./blobstore.ts";
import { CallbackClient } from "./callback.ts";
import { DataFileUtil } from "./data_file_util.ts";
import type { ClientSurroundings } from "./http.ts";
import { KBaseReport } from "./kbase_report.ts";
import { progressText, type Watcher } from "./progress.ts";
import { ServiceWizard } from "./service_wizard.ts";
import { Workspace } from "./workspace.ts";

type Context = Pick<TaskContext, "kbase" | "clock" | "files" | "signal" | "log" | "event">;

/** The services around a KBase job, each made when it is first asked for, at the address that the job was given. */
export class Clients {
  readonly #context: Context;
  readonly #kbase: NonNullable<TaskContext["kbase"]>;
  readonly #surroundings: ClientSurroundings;
  readonly #watcher: Watcher;

  /** Throws for a job that was not called as a KBase method. */
  constructor(context: Context) {
    if (context.kbase === null) {
      throw new GlassboxError("usage", "Cannot reach KBase as this job was not called as a KBase method");
    }
    const { clock, signal } = context;
    this.#context = context;
    this.#kbase = context.kbase;
    this.#surroundings = { clock, signal, token: context.kbase.token };
    this.#watcher = async (progress) => {
      await context.event("transfer", progress);
      await context.log(`  ${progressText(progress)}`);
    };
  }

  get callback(): CallbackClient {
    const { callbackUrl } = this.#kbase;
    if (callbackUrl === null) {
      throw new GlassboxError("configuration", "Cannot call other modules as SDK_CALLBACK_URL is not set");
    }
    return new CallbackClient(this.#surroundings, callbackUrl, { watcher: this.#watcher, ...this.#bound() });
  }

  get dataFileUtil(): DataFileUtil {
    return new DataFileUtil(this.callback);
  }

  get report(): KBaseReport {
    return new KBaseReport(this.callback);
  }

  get handles(): AbstractHandle {
    return new AbstractHandle(
      this.#surroundings,
      this.#url("handle-service-url", "handle_url"),
      this.#bound(),
    );
  }

  get workspace(): Workspace {
    return new Workspace(this.#surroundings, this.#url("workspace-url", "workspace_url"), this.#bound());
  }

  get serviceWizard(): ServiceWizard {
    return new ServiceWizard(this.#surroundings, this.#url("srv-wiz-url", "srv_wiz_url"), this.#bound());
  }

  get auth(): Auth {
    return new Auth(this.#surroundings, this.#url("auth-service-url", "auth_service_url"), this.#bound());
  }

  get blobstore(): Blobstore {
    const files: Files = this.#context.files;
    const url = this.#url("shock-url", "shock_url");
    return new Blobstore(this.#surroundings, files, url, { watcher: this.#watcher, ...this.#bound() });
  }

  #url(...keys: string[]): string {
    const found = keys.map((key) => this.#kbase.config[key]).find((url) => url);
    if (found !== undefined) return found;
    throw new GlassboxError(
      "configuration",
      `Cannot find a service as the module's settings have no ${keys[0]}`,
    );
  }

  /** How long one request may take, where the module's settings say so. */
  #bound(): { timeoutMs?: number } {
    const text = this.#kbase.config[TIMEOUT_SETTING];
    if (text === undefined || text === "") return {};
    const seconds = Number(text);
    if (seconds > 0 && seconds <= 86_400) return { timeoutMs: seconds * 1000 };
    const wanted = "it must be seconds, more than 0 and at most 86400";
    throw new GlassboxError("configuration", `Cannot use the setting ${TIMEOUT_SETTING} as ${wanted}`);
  }
}

/** In config.properties or deploy.cfg. */
const TIMEOUT_SETTING = "glassbox_service_timeout";
