# The plugins: name, folder, pkg-config packages, other libraries. Each becomes build/plugins/NAME.so, opened on first use.
