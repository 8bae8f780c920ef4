// Fontconfig, below Cairo, keeps what it has read of the fonts until the process ends, out of the
// leak checker's sight.
extern "C" const char* __lsan_default_suppressions();  // NOLINT: the sanitizer's name
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig"; }  // NOLINT
