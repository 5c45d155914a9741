// mimalloc stands behind operator new and delete of every program that links this file.
#include <mimalloc-new-delete.h>
