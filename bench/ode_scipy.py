"""SciPy solving the cases of portraits.ts: one order per line on stdin, one answer per line on stdout.

Right sides are written as users write them, with floats and not with arrays, which is the faster way in a loop.
"""
import json
import math
import sys
import time

try:
    import numpy as np
    import scipy
    from scipy.integrate import solve_ivp
except ImportError:
    print(json.dumps({"version": None}), flush=True)
    sys.exit(0)


def lorenz(_t, state):
    x, y, z = state
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]


def lotka_volterra(_t, state):
    x, y = state
    return [1.5 * x - x * y, x * y - 3 * y]


def lotka_volterra_stacked(_t, state):
    x, y = state.reshape(2, -1)
    return np.concatenate([1.5 * x - x * y, x * y - 3 * y])


def van_der_pol(_t, state):
    x, y = state
    return [y, 1000 * (1 - x * x) * y - x]


def van_der_pol_jacobian(_t, state):
    x, y = state
    return [[0, 1], [-2000 * x * y - 1, 1000 * (1 - x * x)]]


def relative(seen, wanted):
    return max(abs(a - b) / abs(b) for a, b in zip(seen, wanted))


def solve_lorenz(order):
    rows = np.linspace(0, 100, 201)
    begun = time.perf_counter()
    result = solve_ivp(lorenz, (0, 100), [1, 1, 1], method=order["method"], rtol=1e-9, atol=1e-12, t_eval=rows)
    took = time.perf_counter() - begun
    return took, relative(result.y[:, 40], [13.7931995951286188, 12.95180393618989854, 34.90160868113514291])


def invariant(x, y):
    return x - 3 * math.log(x) + y - 1.5 * math.log(y)


def drift(first, last):
    return abs(invariant(*last) - invariant(*first))


def solve_starts(order):
    starts, rows = order["starts"], np.linspace(0, 20, 201)
    begun = time.perf_counter()
    worst = 0.0
    for start in starts:
        result = solve_ivp(lotka_volterra, (0, 20), start, method=order["method"], rtol=1e-6, atol=1e-9, t_eval=rows)
        worst = max(worst, drift(start, result.y[:, -1]))
    return time.perf_counter() - begun, worst


def solve_stacked(order):
    starts, rows = np.array(order["starts"]), np.linspace(0, 20, 201)
    begun = time.perf_counter()
    result = solve_ivp(
        lotka_volterra_stacked, (0, 20), starts.T.ravel(), method=order["method"], rtol=1e-6, atol=1e-9, t_eval=rows
    )
    took = time.perf_counter() - begun
    ends = result.y[:, -1].reshape(2, -1).T
    return took, max(drift(start, end) for start, end in zip(starts, ends))


def solve_stiff(order):
    rtol, rows = order["rtol"], np.linspace(0, 2000, 201)
    begun = time.perf_counter()
    result = solve_ivp(
        van_der_pol,
        (0, 2000),
        [2, 0],
        method=order["method"],
        rtol=rtol,
        atol=rtol / 1000,
        jac=van_der_pol_jacobian,
        t_eval=rows,
    )
    took = time.perf_counter() - begun
    return took, relative(result.y[:, -1], [1.706167732170465008, -0.0008928097010248164778])


CASES = {"lorenz": solve_lorenz, "starts": solve_starts, "stacked": solve_stacked, "stiff": solve_stiff}

print(json.dumps({"version": scipy.__version__}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    took, error = CASES[order["case"]](order)
    print(json.dumps({"ms": took * 1000, "error": error}), flush=True)
