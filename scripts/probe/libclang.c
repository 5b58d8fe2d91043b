/*
 * Whether libclang can be used as RocksDB's bindings use it: it is loaded, and parses a header that includes clang's own headers
 * (stdbool.h, stddef.h). A file name alone does not show this: libclang-cpp is another library, and libclang without
 * libclang-common has no headers. Arguments: candidate files, tried in turn. Prints the file that works; exits 1 if none does,
 * with a line of reason for each on standard error.
 */
#include <dlfcn.h>
#include <stdio.h>

typedef void *Index;
typedef void *Unit;
struct unsaved { const char *name, *contents; unsigned long length; };

static const char TEXT[] =
    "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>\nbool probe(size_t, uint64_t);\n";

static const char *parse(void *library) {
    Index (*create)(int, int) = (Index(*)(int, int))dlsym(library, "clang_createIndex");
    Unit (*translate)(Index, const char *, const char *const *, int, struct unsaved *, unsigned, unsigned) =
        (Unit(*)(Index, const char *, const char *const *, int, struct unsaved *, unsigned, unsigned))dlsym(
            library, "clang_parseTranslationUnit");
    unsigned (*diagnostics)(Unit) = (unsigned (*)(Unit))dlsym(library, "clang_getNumDiagnostics");
    if (!create || !translate || !diagnostics) return "not libclang (clang_createIndex is missing)";
    struct unsaved header = {"probe.h", TEXT, sizeof TEXT - 1};
    Unit unit = translate(create(0, 0), "probe.h", NULL, 0, &header, 1, 0);
    if (!unit) return "cannot parse a header";
    return diagnostics(unit) == 0 ? NULL : "stdbool.h or stddef.h not found: clang's headers are missing";
}

int main(int count, char **candidates) {
    for (int at = 1; at < count; at++) {
        void *library = dlopen(candidates[at], RTLD_NOW | RTLD_LOCAL);
        const char *reason = library ? parse(library) : dlerror();
        if (!reason) {
            puts(candidates[at]);
            return 0;
        }
        fprintf(stderr, "%s: %s\n", candidates[at], reason);
    }
    return 1;
}
