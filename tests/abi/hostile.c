/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that misbehaves. The model type says how and in which function: "crash-in-forward", "exit-in-create". With
 * FIXTURE_ON_LOAD set to one of the deeds the library does that while it is opened, with FIXTURE_ON_ENTRY in its entry
 * function. FIXTURE_ID and FIXTURE_TYPES are its facts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <fenv.h>
#include <onnxport/abi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT(literal) \
  { literal, sizeof(literal) - 1 }

static int overflow(volatile int* at) {
  volatile int page[4096];
  page[0] = *at + 1;
  return *at < 0 ? 0 : overflow(page) + page[0];
}

/* All memory that this process has in common with others, where it has these rights. */
static void overwrite_shared_memory(const char* of_rights, int pry) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512], rights[8];
  void *begins[64], *ends[64];
  int count = 0;
  while (count < 64 && fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%p-%p %7s", &begins[count], &ends[count], rights) == 3 && strcmp(rights, of_rights) == 0 &&
        strstr(line, "zero") != NULL)
      ++count;
  }
  fclose(maps);
  while (count-- > 0) {
    const size_t size = (size_t)((char*)ends[count] - (char*)begins[count]);
    if (pry) mprotect(begins[count], size, PROT_READ | PROT_WRITE);
    memset(begins[count], 0xff, size);
  }
}

/* The memory of whom watches the process, through its file. */
static void overwrite_watcher(void) {
  char mem_path[64], maps_path[64], line[512], rights[8];
  static const char zeros[4096];
  unsigned long begin, end;
  FILE* maps;
  int mem;
  snprintf(mem_path, sizeof mem_path, "/proc/%d/mem", (int)getppid());
  snprintf(maps_path, sizeof maps_path, "/proc/%d/maps", (int)getppid());
  mem = open(mem_path, O_RDWR);
  maps = mem < 0 ? NULL : fopen(maps_path, "r");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || rights[1] != 'w') continue;
    for (; begin < end; begin += sizeof zeros) {
      if (pwrite(mem, zeros, sizeof zeros, (off_t)begin) < 0) break;
    }
  }
  if (maps != NULL) fclose(maps);
  if (mem >= 0) close(mem);
}

static void wait_for_ever(void) {
  for (;;) pause();
}

/* Most likely when its plugin has returned. */
static void* crash_later(void* unused) {
  usleep(20000);
  *(volatile int*)8 = 1;
  return unused;
}

static void do_deed(const char* deed) {
  volatile int zero = 0;
  if (strcmp(deed, "crash") == 0) *(volatile int*)8 = 1;
  if (strcmp(deed, "late") == 0) {
    pthread_t thread;
    zero = pthread_create(&thread, NULL, crash_later, NULL);
  }
  if (strcmp(deed, "abort") == 0) abort();
  if (strcmp(deed, "divide") == 0) zero = 7 / zero;
  if (strcmp(deed, "overflow") == 0) zero = overflow(&zero);
  if (strcmp(deed, "exit") == 0) exit(0);
  if (strcmp(deed, "quick") == 0) _exit(0);
  if (strcmp(deed, "corrupt") == 0) {
    char* small = malloc(24);
    for (volatile int i = 0; i < 1 << 20; ++i) small[i] = 0x41;
    free(small);
  }
  if (strcmp(deed, "print") == 0) {
    printf("{\"status\": \"ok\"}\n");
    fflush(stdout);
  }
  if (strcmp(deed, "scribble") == 0) {
    for (int file = 1; file < 64; ++file) zero += write(file, "{}\n", 3) < 0;
  }
  if (strcmp(deed, "close") == 0) {
    for (int file = 3; file < 64; ++file) close(file);
  }
  if (strcmp(deed, "deafen") == 0) {
    for (int file = 0; file < 3; ++file) close(file);
  }
  if (strcmp(deed, "wander") == 0) {
    zero = chdir("/");
    umask(0777);
    unsetenv("HOME");
    fesetround(FE_UPWARD);
    alarm(1);
  }
  if (strcmp(deed, "lock") == 0) {
    flockfile(stdout);
    flockfile(stderr);
    atexit(wait_for_ever);
  }
  if (strcmp(deed, "twin") == 0) zero = fork();
  if (strcmp(deed, "leave") == 0) {
    const pid_t child = fork();
    FILE* note = child == 0 ? NULL : fopen("left", "w");
    if (child == 0) wait_for_ever();
    fprintf(note, "%d\n", child);
    fclose(note);
  }
  if (strcmp(deed, "stop") == 0) raise(SIGSTOP);
  if (strcmp(deed, "interrupt") == 0) raise(SIGINT);
  if (strcmp(deed, "terminate") == 0) raise(SIGTERM);
  /* Sent to whom watches the process. */
  if (strcmp(deed, "shoot") == 0) kill(getppid(), SIGTERM);
  if (strcmp(deed, "poke") == 0) kill(getppid(), SIGUSR1);
  if (strcmp(deed, "freeze") == 0) kill(getppid(), SIGSTOP);
  if (strcmp(deed, "slay") == 0) kill(getppid(), SIGKILL);
  if (strcmp(deed, "spray") == 0) kill(0, SIGINT);
  if (strcmp(deed, "reach") == 0) overwrite_watcher();
  if (strcmp(deed, "burrow") == 0) {
    zero = mkdir("hole", 0755);
    zero = chroot("hole");
  }
  if (strcmp(deed, "fill") == 0) {
    while (dup(0) >= 0) zero = 0;
  }
  if (strcmp(deed, "exhaust") == 0) {
    void* volatile taken;
    do taken = malloc(1 << 20);
    while (taken != NULL);
    abort();
  }
  if (strcmp(deed, "overwrite") == 0) overwrite_shared_memory("rw-s", 0);
  if (strcmp(deed, "overrun") == 0) overwrite_shared_memory("r--s", 0);
  if (strcmp(deed, "pry") == 0) overwrite_shared_memory("r--s", 1);
  if (strcmp(deed, "become") == 0) execl("/bin/sleep", "sleep", "1000", (char*)NULL);
  if (strcmp(deed, "loop") == 0) {
    for (;;) zero = 0;
  }
}

struct onnxport_onnx_config {
  char deed[32], function[32];
  const onnxport_host* host;
};

static void act(const onnxport_onnx_config* self, const char* function) {
  if (strcmp(self->function, function) == 0) do_deed(self->deed);
}

static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
  static onnxport_onnx_config self;
  char type[64] = "";
  char* split;
  memcpy(type, request->model_type.data, request->model_type.size < 63 ? request->model_type.size : 63);
  self.host = request->host;
  split = strstr(type, "-in-");
  if (split != NULL) {
    *split = '\0';
    strcpy(self.deed, type);
    strcpy(self.function, split + 4);
  }
  act(&self, "create");
  *out = &self;
  return NULL;
}

static void release(onnxport_onnx_config* self) {
  act(self, "release");
}

static const onnxport_string x = TEXT("x"), y = TEXT("y");

static onnxport_status* describe(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out) {
  const onnxport_dim dims[1] = {{-1, TEXT("batch")}};
  const onnxport_type type = {sizeof type, ONNXPORT_F32, 1, dims};
  onnxport_status* status;
  (void)part;
  act(self, "describe");
  if ((status = out->input(out, x, &type)) != NULL) return status;
  return out->output(out, y, &type);
}

static onnxport_status* forward(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph) {
  static const onnxport_string name = TEXT("graph"), op = TEXT("Relu"), scope = TEXT("encoder.layer.3");
  const onnxport_graph_1* table = self->host->get_interface(self->host, name, 1);
  onnxport_value in, out;
  onnxport_node node;
  onnxport_status* status;
  (void)part;
  if ((status = table->input(graph, x, &in)) != NULL) return status;
  memset(&node, 0, sizeof node);
  node.struct_size = sizeof node;
  node.op = op;
  node.scope = scope;
  node.inputs = &in;
  node.input_count = 1;
  node.output_count = 1;
  if ((status = table->node(graph, &node, &out)) != NULL) return status;
  act(self, "forward");
  return table->output(graph, y, out);
}

static const onnxport_onnx_config_1 onnx_config = {sizeof onnx_config, create, release, describe, forward, NULL, NULL};

#include "misbehaving.h"

#ifdef FIXTURE_ON_LOAD
__attribute__((constructor)) static void on_load(void) {
  do_deed(FIXTURE_ON_LOAD);
}
#endif

ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void);
const onnxport_plugin* onnxport_plugin_entry(void) {
#ifdef FIXTURE_ON_ENTRY
  do_deed(FIXTURE_ON_ENTRY);
#endif
  (void)do_deed;
  return &plugin;
}
