import { quoted } from "../../core/errors.ts";
import type { Files } from "../../core/host.ts";
import { directoryOf, isInside, resolvePath } from "../../core/paths.ts";
import { answerError } from "./answer.ts";

/** The scratch directory of a job, which all modules see; each by the path that its own container gives it. */
export class SharedTmp {
  readonly #files: Files;
  /** Where it lies on this machine, links resolved. */
  readonly directory: string;
  /** By which paths modules call it. */
  readonly #names: readonly string[];

  constructor(files: Files, directory: string, names: readonly string[]) {
    this.#files = files;
    this.directory = directory;
    this.#names = names;
  }

  /** The place on this machine of a path that a module named. Throws for one that other modules cannot see. */
  async locate(path: string): Promise<string> {
    const wanted = resolvePath("/", path);
    const name = this.#names.find((one) => isInside(one, wanted));
    if (!path.startsWith("/") || name === undefined) {
      throw answerError(
        `File ${quoted(path)} is not in the scratch directory ${this.#names[0]}: other modules cannot see it`,
      );
    }
    const place = `${this.directory}${wanted.slice(name.length)}`;
    if (!isInside(this.directory, await this.#realPath(place))) {
      throw answerError(`File ${quoted(path)} is a link that leads out of the scratch directory`);
    }
    return place;
  }

  /** A place on this machine, as the module that asked calls it. */
  nameFor(asked: string, place: string): string {
    const wanted = resolvePath("/", asked);
    const name = this.#names.find((one) => isInside(one, wanted)) ?? this.#names[0]!;
    return `${name}${place.slice(this.directory.length)}`;
  }

  /** Of the nearest thing that is there: what is to be made has no real path yet. */
  async #realPath(place: string): Promise<string> {
    for (let at = place;; at = directoryOf(at)) {
      const real = await this.#files.realPath(at);
      if (real !== null) return real;
      if (at === "/") return at;
    }
  }
}
