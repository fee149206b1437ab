/** A canvas as large as its place on the page, in device pixels. */
export class Surface {
  readonly canvas: HTMLCanvasElement;
  width = 0;
  height = 0;
  ratio = 1;
  #isOld = true;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
  }

  /** Its place has another size now: asked for at the next `fit`, as asking makes the browser lay out the page. */
  resized(): void {
    this.#isOld = true;
  }

  /** Takes the size it is shown at; true when that changed. */
  fit(): boolean {
    if (!this.#isOld) return false;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
    // One that is not shown yet has no size.
    this.#isOld = width === 0;
    if (width === this.width && height === this.height && ratio === this.ratio) return false;
    [this.width, this.height, this.ratio] = [width, height, ratio];
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    return true;
  }

  /** The context, in pixels of the page, with nothing on it. */
  clear(): CanvasRenderingContext2D {
    const painter = this.canvas.getContext("2d")!;
    painter.setTransform(1, 0, 0, 1, 0, 0);
    painter.clearRect(0, 0, this.canvas.width, this.canvas.height);
    painter.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return painter;
  }
}

/** Calls `draw` once before the next frame, however often it is asked. */
export class Frame {
  #asked = 0;
  readonly #draw: () => void;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  ask(): void {
    if (this.#asked !== 0) return;
    this.#asked = requestAnimationFrame(() => this.now());
  }

  /** Draws at once. */
  now(): void {
    cancelAnimationFrame(this.#asked);
    this.#asked = 0;
    this.#draw();
  }
}
