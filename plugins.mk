# The plugins: name, folder, pkg-config packages, other libraries. Each becomes build/plugins/NAME.so, opened on first use.
$(eval $(call plugin,regex,gpu/tokenizer/regex,libpcre2-8 libutf8proc,))
