module linuxkit.dev/e2e/tools/helm4

go 1.26.0
