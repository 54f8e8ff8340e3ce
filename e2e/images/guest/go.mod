module linuxkit-operator/guest

go 1.24
