# Time and peak memory of exports, from the table that `benchmarks --table` writes:
#   gnuplot -e "table='docs/performance.tsv'; plot='docs/performance.svg'" benchmarks/plot.gp
set terminal svg size 900,500 font "sans-serif,11" background "white"
set output plot
set datafile separator "\t"
set multiplot layout 1,2
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set boxwidth 0.9
set logscale y
set grid ytics
set bmargin 10
set key at screen 0.5, 0.21 center vertical maxrows 4 reverse Left samplen 1

models = system(sprintf("awk -F'\t' '$2 == \"export\" && !seen[$1]++ {print $1}' %s | paste -s -d ' '", table))
names = system(sprintf("awk -F'\t' '$2 == \"export\" && !seen[$3]++ {gsub(/ /, \"_\", $3); print $3}' %s | paste -s -d ' '", table))
# One row a model, the value of a contender in it (or none).
rows_of(name, field) = sprintf("< for m in %s; do awk -F'\t' -v m=$m -v n='%s' 'BEGIN {v = \"NaN\"} {gsub(/ /, \"_\", $3)} $1 == m && $2 == \"export\" && $3 == n {v = $%d} END {print m \"\t\" v}' %s; done", models, name, field, table)
title_of(name) = system(sprintf("printf %%s '%s' | tr _ ' '", name))

set title "export, seconds"
set format y "%g"
plot for [n in names] rows_of(n, 4) using 2:xtic(1) title title_of(n)
set title "peak memory, MB"
unset key
plot for [n in names] rows_of(n, 6) using 2:xtic(1) title title_of(n)
unset multiplot
