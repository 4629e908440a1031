/* sanitize.c: what ThreadSanitizer must be told about Lua. Nothing in any other build.
 *
 * A Lua error or yield leaves its C frames by longjmp. A Lua that was built with _FORTIFY_SOURCE (Debian's is) calls glibc's
 * __longjmp_chk, which ThreadSanitizer does not know: the frames that were left would stay on the stack it keeps for each
 * thread, until that overflows.
 */
#include "runtime/session/sanitize.h"
#if SANITIZE_THREADS
#include <setjmp.h>

_Noreturn void __longjmp_chk(jmp_buf place, int value);

_Noreturn void __longjmp_chk(jmp_buf place, int value)
{
    longjmp(place, value);
}
#endif
