/** Lines in space by WebGL 2: each piece of a line is a quad that always faces the eye, drawn by instances. */

const VERTEX = `#version 300 es
precision highp float;
in vec3 a;
in vec3 b;
uniform mat4 view;
uniform vec2 size;
uniform float width;
uniform vec2 depths;
out float shade;
void main() {
  vec4 from = view * vec4(a, 1.0), to = view * vec4(b, 1.0);
  vec2 along = (to.xy / to.w - from.xy / from.w) * size;
  float length = max(length(along), 1e-6);
  vec2 across = vec2(-along.y, along.x) / length;
  bool isEnd = gl_VertexID > 1;
  vec4 place = isEnd ? to : from;
  float side = (gl_VertexID & 1) == 0 ? -1.0 : 1.0;
  // Half a pixel further, so that pieces of a bend leave no gap.
  vec2 out_ = across * side * width + along / length * (isEnd ? 0.5 : -0.5);
  place.xy += out_ / size * place.w;
  shade = 1.0 - 0.65 * clamp((place.w - depths.x) / depths.y, 0.0, 1.0);
  gl_Position = place;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in float shade;
uniform vec3 color;
uniform float opacity;
uniform vec3 ground;
out vec4 pixel;
void main() {
  pixel = vec4(mix(ground, color, shade), opacity);
}`;

/** One line of the picture: from where in the buffer, how many points. */
export interface LineRange {
  readonly from: number;
  readonly count: number;
  readonly color: string;
  readonly width: number;
  readonly opacity: number;
}

/** What the whole picture shares. */
export interface LineView {
  readonly matrix: Float32Array;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  readonly distance: number;
  readonly ground: string;
}

export class LinesGl {
  readonly #gl: WebGL2RenderingContext;
  readonly #program: WebGLProgram;
  readonly #buffer: WebGLBuffer;
  readonly #places: Record<"a" | "b", number>;

  /** Null where the browser has no WebGL 2. */
  static on(canvas: HTMLCanvasElement): LinesGl | null {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: false });
    if (gl === null) return null;
    const program = programOf(gl);
    return program === null ? null : new LinesGl(gl, program);
  }

  private constructor(gl: WebGL2RenderingContext, program: WebGLProgram) {
    this.#gl = gl;
    this.#program = program;
    this.#buffer = gl.createBuffer()!;
    this.#places = { a: gl.getAttribLocation(program, "a"), b: gl.getAttribLocation(program, "b") };
  }

  /** x, y, z of all points, in the box. */
  load(points: Float32Array): void {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer);
    gl.bufferData(gl.ARRAY_BUFFER, points, gl.STATIC_DRAW);
  }

  draw(lines: readonly LineRange[], view: LineView): void {
    const gl = this.#gl, program = this.#program;
    const uniform = (name: string) => gl.getUniformLocation(program, name);
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniform("view"), false, view.matrix);
    gl.uniform2f(uniform("size"), view.width / 2, view.height / 2);
    gl.uniform2f(uniform("depths"), view.distance - 1.7, 3.4);
    gl.uniform3fv(uniform("ground"), rgb(view.ground));
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer);
    for (const { from, count, color, width, opacity } of lines) {
      if (count < 2) continue;
      gl.uniform3fv(uniform("color"), rgb(color));
      gl.uniform1f(uniform("opacity"), opacity);
      gl.uniform1f(uniform("width"), width / 2);
      for (const [name, shift] of [["a", 0], ["b", 1]] as const) {
        const place = this.#places[name];
        gl.enableVertexAttribArray(place);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 12, 12 * (from + shift));
        gl.vertexAttribDivisor(place, 1);
      }
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count - 1);
    }
  }
}

function programOf(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind);
    if (shader === null) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

function rgb(color: string): Float32Array {
  const value = parseInt(color.slice(1), 16);
  return Float32Array.of(((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255);
}
