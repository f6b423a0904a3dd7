/*
 * A profiler of the .NET runtime that does nothing but say that it was started. The runtime loads the library that CORECLR_PROFILER_PATH
 * names, asks DllGetClassObject for a factory of the class CORECLR_PROFILER, has that make an ICorProfilerCallback2, and calls its
 * Initialize (learn.microsoft.com: "Setting up a profiling environment"). COM in plain C: an object is a pointer to its table of functions.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int32_t hresult;
enum { NO_INTERFACE = (hresult)0x80004002 };

struct object { void **functions; };

static const uint8_t unknown[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46};
static const uint8_t factory_id[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46};
/* 8A8CC829-CCF2-49FE-BBAE-0F022228071A */
static const uint8_t callback2[16] = {0x29, 0xC8, 0x8C, 0x8A, 0xF2, 0xCC, 0xFE, 0x49, 0xBB, 0xAE, 0x0F, 0x02, 0x22, 0x28, 0x07, 0x1A};

static uint32_t count(void *self) { (void)self; return 1; }
static hresult nothing(void) { return 0; }

static hresult answer(struct object *self, const void *id, const uint8_t *own, void **out) {
  if (memcmp(id, unknown, 16) != 0 && memcmp(id, own, 16) != 0) {
    *out = NULL;
    return NO_INTERFACE;
  }
  *out = self;
  return 0;
}

static hresult query_profiler(struct object *self, const void *id, void **out) { return answer(self, id, callback2, out); }
static hresult query_factory(struct object *self, const void *id, void **out) { return answer(self, id, factory_id, out); }

static hresult initialize(struct object *self, void *runtime) {
  (void)self;
  fprintf(stderr, "the profiler was started by the runtime: %s\n", runtime ? "attached" : "without a runtime");
  return 0;
}

/* Three of IUnknown, Initialize, and more than ICorProfilerCallback2 has after it. */
static void *profiler_functions[128] = {query_profiler, count, count, initialize};
static struct object profiler = {profiler_functions};

static hresult create(struct object *self, void *outer, const void *id, void **out) {
  (void)self;
  (void)outer;
  for (int i = 4; i < 128; i++) profiler_functions[i] = nothing;
  return query_profiler(&profiler, id, out);
}

static void *factory_functions[] = {query_factory, count, count, create, nothing};
static struct object factory = {factory_functions};

hresult DllGetClassObject(const void *class_id, const void *id, void **out) {
  (void)class_id;
  return query_factory(&factory, id, out);
}
