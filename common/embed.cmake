# Writes FILES (parted by |), joined, as the C array NAME and its length NAME_len into OUT.
string(REPLACE "|" ";" files "${FILES}")
set(hex "")
foreach(file ${files})
  file(READ ${file} part HEX)
  string(APPEND hex "${part}")
endforeach()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include <stddef.h>
extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_len;
const unsigned char ${NAME}[] = {${bytes}0};
const size_t ${NAME}_len = sizeof ${NAME} - 1;
")
