/** What keys and buttons do with a picture. */
export interface Steering {
  pan(dx: number, dy: number): void;
  zoomBy(factor: number): void;
  home(): void;
  fit(): void;
  play(): void;
}

const STEP_PX = 40;

/** The keys of the picture: arrows, plus and minus, 0, f and the space bar. */
export function listenToKeys(box: HTMLElement, steering: Steering): void {
  const acts: Record<string, () => void> = {
    ArrowLeft: () => steering.pan(STEP_PX, 0),
    ArrowRight: () => steering.pan(-STEP_PX, 0),
    ArrowUp: () => steering.pan(0, STEP_PX),
    ArrowDown: () => steering.pan(0, -STEP_PX),
    "+": () => steering.zoomBy(1.25),
    "=": () => steering.zoomBy(1.25),
    "-": () => steering.zoomBy(0.8),
    "0": () => steering.home(),
    f: () => steering.fit(),
    " ": () => steering.play(),
  };
  box.addEventListener("keydown", (event) => {
    const act = acts[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
}
