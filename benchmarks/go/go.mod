module gaistream/benchmarks

go 1.19
