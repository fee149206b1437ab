/** A place on an element, in its pixels. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** What pointers, wheel and two fingers mean over a picture. */
export interface Gestures {
  /** A press of the main button; false when it is to pan. */
  press(place: Place, event: PointerEvent): boolean;
  drag(place: Place, event: PointerEvent): void;
  /** The press has ended; `moved` when it went further than a hand trembles. */
  release(place: Place, moved: boolean): void;
  /** The press became something else, such as a pinch. */
  abandon(): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, about: Place): void;
  hover(place: Place | null): void;
}

const TREMBLE_PX = 4;

/** Tells presses, drags, pans, pinches and the wheel apart. */
export function listenToPointers(box: HTMLElement, gestures: Gestures): void {
  const down = new Map<number, Place>();
  let mode: "none" | "press" | "pan" | "pinch" = "none";
  let first: Place = { x: 0, y: 0 }, moved = false;

  const placeOf = (event: MouseEvent): Place => {
    const { left, top } = box.getBoundingClientRect();
    return { x: event.clientX - left - box.clientLeft, y: event.clientY - top - box.clientTop };
  };
  const setMode = (to: typeof mode) => {
    mode = to;
    box.toggleAttribute("data-panning", to === "pan" || to === "pinch");
  };

  box.addEventListener("pointerdown", (event) => {
    const place = placeOf(event);
    box.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place);
    if (down.size === 2) {
      if (mode === "press") gestures.abandon();
      return setMode("pinch");
    }
    [first, moved] = [place, false];
    const isPan = event.button !== 0 || event.shiftKey || event.altKey;
    setMode(!isPan && gestures.press(place, event) ? "press" : "pan");
  });

  box.addEventListener("pointermove", (event) => {
    const place = placeOf(event), last = down.get(event.pointerId);
    if (last === undefined) return gestures.hover(place);
    down.set(event.pointerId, place);
    moved ||= Math.hypot(place.x - first.x, place.y - first.y) > TREMBLE_PX;
    if (mode === "press") return gestures.drag(place, event);
    if (mode === "pan") return gestures.pan(place.x - last.x, place.y - last.y);
    if (mode === "pinch" && down.size === 2) pinch(down, event.pointerId, last, gestures);
  });

  const up = (event: PointerEvent) => {
    if (!down.delete(event.pointerId)) return;
    if (mode === "press") gestures.release(placeOf(event), moved);
    if (down.size === 0) setMode("none");
    // The finger that is left after a pinch goes on as a pan.
    else setMode("pan");
  };
  box.addEventListener("pointerup", up);
  box.addEventListener("pointercancel", (event) => {
    if (mode === "press") gestures.abandon();
    down.delete(event.pointerId);
    setMode("none");
  });
  box.addEventListener("pointerleave", () => gestures.hover(null));
  box.addEventListener("contextmenu", (event) => event.preventDefault());
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    gestures.zoom(Math.exp(-event.deltaY * lines * 0.0016), placeOf(event));
  }, { passive: false });
}

function pinch(down: Map<number, Place>, moving: number, last: Place, gestures: Gestures): void {
  const other = [...down].find(([id]) => id !== moving)![1], now = down.get(moving)!;
  const [before, after] = [last, now].map((place) => Math.hypot(place.x - other.x, place.y - other.y));
  gestures.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  if (before! > 1 && after! > 1) {
    gestures.zoom(after! / before!, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }
}
