# Annual flow of the Nile at Aswan: finds the year in which the flow changed, and draws it.
#   awk -v svg=nile.svg -f analyse.awk nile.csv        (-v pause=0.2 to watch it work)
# The change is where the cumulated deviation from the mean is largest (the CUSUM estimate; E. S. Page,
# Biometrika 41, 1954). Progress goes to the control channel, so glassbox can show it.

BEGIN {
  FS = ","
  if (svg == "") svg = "nile.svg"
  # Through a shell's redirection, as not every system lets a program open an inherited descriptor by its path.
  control = ENVIRON["GLASSBOX_CONTROL_FD"] != "" ? "cat >&" ENVIRON["GLASSBOX_CONTROL_FD"] : ""
}

FNR == 1 { next }

{
  n++
  year[n] = $1
  flow[n] = $2
  sum += $2
  if ($2 > highest) highest = $2
}

function report(fraction, message) {
  if (control != "") {
    printf "{\"type\":\"progress\",\"fraction\":%.2f,\"message\":\"%s\"}\n", fraction, message | control
    close(control)
  }
}

function mean(from, to,    i, total) {
  for (i = from; i <= to; i++) total += flow[i]
  return total / (to - from + 1)
}

function x(i) { return 50 + (i - 1) * 700 / (n - 1) }
function y(value) { return 320 - value * 280 / highest }

function level(from, to, value) {
  printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#c2410c\" stroke-width=\"2\"/>\n", x(from), y(value), x(to), y(value) > svg
}

function draw(change,    i) {
  print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 360\" font-family=\"sans-serif\" font-size=\"12\">" > svg
  print "<rect width=\"800\" height=\"360\" fill=\"#ffffff\"/>" > svg
  printf "<polyline fill=\"none\" stroke=\"#0369a1\" stroke-width=\"1.5\" points=\"" > svg
  for (i = 1; i <= n; i++) printf "%.1f,%.1f ", x(i), y(flow[i]) > svg
  print "\"/>" > svg
  level(1, change, mean(1, change))
  level(change + 1, n, mean(change + 1, n))
  for (i = 1; i <= n; i += 10) printf "<text x=\"%.1f\" y=\"345\" text-anchor=\"middle\">%d</text>\n", x(i), year[i] > svg
  printf "<text x=\"50\" y=\"24\" font-size=\"15\">Annual flow of the Nile at Aswan, 10^8 m^3: the level changed after %d</text>\n", year[change] > svg
  print "</svg>" > svg
  close(svg)
}

END {
  if (n < 2) {
    print "no data in " FILENAME > "/dev/stderr"
    exit 65
  }
  overall = sum / n
  printf "%d years, %d to %d, mean flow %.2f\n", n, year[1], year[n], overall
  for (i = 1; i <= n; i++) {
    cusum += flow[i] - overall
    distance = cusum < 0 ? -cusum : cusum
    if (distance > furthest) {
      furthest = distance
      change = i
    }
    if (i % 10 == 0) {
      printf "%d-%d  mean %7.1f  cusum %8.1f\n", year[i - 9], year[i], mean(i - 9, i), distance < 0.05 ? 0 : cusum
      report(i / n, "decade " i / 10)
      if (pause > 0) system("sleep " pause)
    }
  }
  printf "the flow changed after %d: mean %.1f before, %.1f since\n", year[change], mean(1, change), mean(change + 1, n)
  draw(change)
}
