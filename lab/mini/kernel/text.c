/* Strings, and the little of libc that the compiler expects. */
#include "mini.h"

char command_line[1024];

void *memcpy(void *to, const void *from, u64 n)
{
	void *at = to;
	asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n)::"memory");
	return to;
}

void *memset(void *to, int c, u64 n)
{
	void *at = to;
	asm volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

u64 length(const char *s)
{
	u64 n = 0;
	while (s[n])
		n++;
	return n;
}

int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

u64 number(const char *s)
{
	u64 n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (u64)(*s - '0');
	return n;
}

/* option returns a copy that the next call overwrites. */
const char *option(const char *name)
{
	static char value[64];
	u64 want = length(name), n = 0;
	const char *s = command_line;
	while (*s) {
		while (*s == ' ')
			s++;
		u64 i = 0;
		while (i < want && s[i] == name[i])
			i++;
		if (i == want && s[i] == '=') {
			for (s += i + 1; *s && *s != ' ' && n < sizeof value - 1; s++)
				value[n++] = *s;
			value[n] = 0;
			return value;
		}
		while (*s && *s != ' ')
			s++;
	}
	return 0;
}

static u64 digits(char *to, u64 value, u64 base)
{
	char back[24];
	u64 n = 0, i;
	do
		back[n++] = "0123456789abcdef"[value % base];
	while (value /= base);
	for (i = 0; i < n; i++)
		to[i] = back[n - 1 - i];
	to[n] = 0;
	return n;
}

u64 vformat(char *to, u64 room, const char *fmt, __builtin_va_list args)
{
	u64 n = 0;
	for (; *fmt; fmt++) {
		char one[24] = {*fmt, 0};
		const char *s = one;
		if (*fmt == '%') {
			int wide = *++fmt == 'l';
			fmt += wide;
			switch (*fmt) {
			case 's':
				s = __builtin_va_arg(args, const char *);
				break;
			case 'c':
				one[0] = (char)__builtin_va_arg(args, int);
				break;
			default:
				digits(one, wide ? __builtin_va_arg(args, u64) : __builtin_va_arg(args, u32), *fmt == 'x' ? 16 : 10);
			}
		}
		for (; *s && n + 1 < room; s++)
			to[n++] = *s;
	}
	to[n] = 0;
	return n;
}

u64 format(char *to, u64 room, const char *fmt, ...)
{
	__builtin_va_list args;
	__builtin_va_start(args, fmt);
	u64 n = vformat(to, room, fmt, args);
	__builtin_va_end(args);
	return n;
}
