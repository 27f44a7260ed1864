-- The memory of ngx.shared.DICT: a zone with its lock and its allocator, seen as one array of 32-bit integers.
--
-- A place in a zone is an index into that array, the same in every process, wherever its mapping lies. The allocator is nginx's slab
-- allocator in everything that can be observed (ngx_slab.c): pages of 4096 bytes, of which a zone has as many as nginx's would have;
-- chunks of powers of two, a page for one size; whatever is above 2048 bytes in whole pages, first fit, freed neighbours joined. Unlike
-- nginx's it keeps a page's free chunks in a chain and not in a bitmap.
--
-- While the lock is held nothing is allocated in the VM: a garbage collection could run a finalizer that uses the dictionary. That is
-- why addresses go to C as numbers, and why what is read goes through a buffer.

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local pairs = pairs
local band, rshift, lshift = bit.band, bit.rshift, bit.lshift
local floor, ceil, min = math.floor, math.ceil, math.min

ffi.cdef [[
typedef struct { uint32_t at[16]; } pyresty_mutexattr;
int pthread_mutexattr_init(pyresty_mutexattr *);
int pthread_mutexattr_destroy(pyresty_mutexattr *);
int pthread_mutexattr_setpshared(pyresty_mutexattr *, int);
int pthread_mutexattr_setrobust(pyresty_mutexattr *, int);
int pthread_mutexattr_settype(pyresty_mutexattr *, int);
int pyresty_mutex_init(intptr_t, const pyresty_mutexattr *) __asm__("pthread_mutex_init");
int pyresty_mutex_lock(intptr_t) __asm__("pthread_mutex_lock");
int pyresty_mutex_unlock(intptr_t) __asm__("pthread_mutex_unlock");
int pyresty_mutex_consistent(intptr_t) __asm__("pthread_mutex_consistent");
]]

-- The same numbers in glibc and musl.
local PROCESS_SHARED, ROBUST, ERRORCHECK = 1, 1, 2

local memory = {}
rt.shdict_memory = memory

-- Where a zone's own fields are, as indexes. The mutex is at 0. Up to the table of pages this takes the room that nginx's header takes.
local MAGIC, PAGES, FIRST, FREE_PAGES, HEAD, MASK, NAME, NAME_BYTES = 16, 17, 18, 19, 20, 21, 22, 23
local FREE = 26 -- a descriptor whose links are the ends of the list of free pages
local SLOTS = 50 -- for every size of chunks, from 8 bytes up, a descriptor whose links are the ends of the list of pages with room
local TABLE = 176 -- the descriptors of the pages
local READY = 0x70797264

-- A descriptor of a page: what it is, how many chunks are in use (or how many pages its run has), links, free chunks, chunks never used.
local DESCRIPTOR, KIND, COUNT, NEXT, PREV, CHAIN, FRESH = 6, 0, 1, 2, 3, 4, 5
local UNUSED, BIG, REST = 0, 12, 13 -- kinds; from 3 to 11 it is the logarithm of the size of its chunks

local PAGE, MIN_SHIFT, MAX_SHIFT, MAX_CHUNK = 4096, 3, 11, 2048
local NGINX_HEADER, NGINX_POOL, NGINX_SLOT, NGINX_PAGE = 704, 200, 56, 24

-- The first chunks of a page of small ones, which hold its bitmap in nginx, and how many chunks a page has in all.
local RESERVED, CHUNKS = {}, {}
for shift = MIN_SHIFT, MAX_SHIFT do
    local chunks = rshift(PAGE, shift)
    RESERVED[shift] = shift < 6 and math.max(1, rshift(chunks, shift + 3)) or 0
    CHUNKS[shift] = chunks
end

memory.HEAD, memory.MASK, memory.NAME, memory.NAME_BYTES = HEAD, MASK, NAME, NAME_BYTES

-- How many pages nginx makes of `size` bytes, and where the first one begins, in bytes. ngx_slab_init()
local function layout(size)
    local room = size - NGINX_POOL - (MAX_SHIFT - MIN_SHIFT + 1) * NGINX_SLOT
    local pages = floor(room / (PAGE + NGINX_PAGE))
    local first = ceil((NGINX_HEADER + pages * NGINX_PAGE) / PAGE) * PAGE
    return min(pages, floor((size - first) / PAGE)), first
end

local function unlink(m, page)
    local next, prev = m[page + NEXT], m[page + PREV]
    m[prev + NEXT] = next
    m[next + PREV] = prev
end

local function link_first(m, list, page)
    local next = m[list + NEXT]
    m[page + NEXT] = next
    m[page + PREV] = list
    m[next + PREV] = page
    m[list + NEXT] = page
end

-- Of a run of free pages the first descriptor has links and length, the last one points back to the first with CHAIN.
local function make_free(m, page, count)
    m[page + KIND] = UNUSED
    m[page + COUNT] = count
    m[page + (count - 1) * DESCRIPTOR + CHAIN] = page
    link_first(m, FREE, page)
end

-- The first of `count` pages in a row, as the index of its descriptor; 0 if there is none. ngx_slab_alloc_pages()
local function take_pages(m, count)
    local page = m[FREE + NEXT]
    while page ~= FREE do
        local have = m[page + COUNT]
        if have >= count then
            local next, prev = m[page + NEXT], m[page + PREV]
            if have > count then
                local rest = page + count * DESCRIPTOR
                m[rest + KIND] = UNUSED
                m[rest + COUNT] = have - count
                m[rest + NEXT] = next
                m[rest + PREV] = prev
                m[prev + NEXT] = rest
                m[next + PREV] = rest
                m[page + (have - 1) * DESCRIPTOR + CHAIN] = rest
            else
                m[prev + NEXT] = next
                m[next + PREV] = prev
            end
            m[FREE_PAGES] = m[FREE_PAGES] - count
            m[page + KIND] = BIG
            m[page + COUNT] = count
            for i = 1, count - 1 do
                m[page + i * DESCRIPTOR + KIND] = REST
            end
            return page
        end
        page = m[page + NEXT]
    end
    return 0
end

-- Give pages back, joined with free neighbours. ngx_slab_free_pages()
local function give_pages(m, page, count)
    m[FREE_PAGES] = m[FREE_PAGES] + count
    for i = 0, count - 1 do
        m[page + i * DESCRIPTOR + KIND] = UNUSED
    end
    local after = page + count * DESCRIPTOR
    if after < TABLE + m[PAGES] * DESCRIPTOR and m[after + KIND] == UNUSED then
        count = count + m[after + COUNT]
        unlink(m, after)
    end
    if page > TABLE and m[page - DESCRIPTOR + KIND] == UNUSED then
        local before = m[page - DESCRIPTOR + CHAIN]
        count = count + m[before + COUNT]
        unlink(m, before)
        page = before
    end
    make_free(m, page, count)
end

local function place_of(m, page)
    return m[FIRST] + (page - TABLE) / DESCRIPTOR * (PAGE / 4)
end

-- The logarithm of the size of the chunk for `bytes`, which are at most MAX_CHUNK.
local function shift_of(bytes)
    if bytes <= 128 then
        return bytes <= 32 and (bytes <= 8 and 3 or bytes <= 16 and 4 or 5) or bytes <= 64 and 6 or 7
    end
    return bytes <= 256 and 8 or bytes <= 512 and 9 or bytes <= 1024 and 10 or 11
end

-- Room for `bytes`: its index, or 0 if there is none. ngx_slab_alloc_locked()
function memory.alloc(m, bytes)
    if bytes > MAX_CHUNK then
        local page = take_pages(m, ceil(bytes / PAGE))
        return page == 0 and 0 or place_of(m, page)
    end
    local shift = shift_of(bytes)
    local slot = SLOTS + (shift - MIN_SHIFT) * DESCRIPTOR
    local page = m[slot + NEXT]
    if page == slot then
        page = take_pages(m, 1)
        if page == 0 then
            return 0
        end
        m[page + KIND] = shift
        m[page + COUNT] = RESERVED[shift]
        m[page + CHAIN] = 0
        m[page + FRESH] = RESERVED[shift]
        link_first(m, slot, page)
    end
    local chunk = m[page + CHAIN]
    if chunk ~= 0 then
        m[page + CHAIN] = m[chunk]
    else
        local fresh = m[page + FRESH]
        m[page + FRESH] = fresh + 1
        chunk = place_of(m, page) + lshift(fresh, shift - 2)
    end
    local count = m[page + COUNT] + 1
    m[page + COUNT] = count
    if count == CHUNKS[shift] then
        unlink(m, page)
    end
    return chunk
end

-- Free what alloc() gave. ngx_slab_free_locked()
function memory.free(m, place)
    local page = TABLE + rshift(place - m[FIRST], 10) * DESCRIPTOR
    local shift = m[page + KIND]
    if shift == BIG then
        return give_pages(m, page, m[page + COUNT])
    end
    local count = m[page + COUNT]
    m[place] = m[page + CHAIN]
    m[page + CHAIN] = place
    m[page + COUNT] = count - 1
    if count == CHUNKS[shift] then
        link_first(m, SLOTS + (shift - MIN_SHIFT) * DESCRIPTOR, page)
    end
    if count - 1 == RESERVED[shift] then
        unlink(m, page)
        give_pages(m, page, 1)
    end
end

-- Every page free.
local function clear(m)
    for i = FREE, TABLE - 1 do
        m[i] = 0
    end
    for slot = SLOTS, SLOTS + (MAX_SHIFT - MIN_SHIFT) * DESCRIPTOR, DESCRIPTOR do
        m[slot + NEXT], m[slot + PREV] = slot, slot
    end
    m[FREE + KIND], m[FREE + NEXT], m[FREE + PREV] = REST, FREE, FREE
    for i = TABLE, TABLE + m[PAGES] * DESCRIPTOR - 1 do
        m[i] = 0
    end
    m[FREE_PAGES] = m[PAGES]
    if m[PAGES] > 0 then
        make_free(m, TABLE, m[PAGES])
    end
end

-- Make the allocator's own data anew, with exactly the places of `used` in use: index → bytes. After a process has died in here.
function memory.rebuild(m, used)
    clear(m)
    unlink(m, TABLE)
    local taken = {}
    for place, bytes in pairs(used) do
        local page = TABLE + rshift(place - m[FIRST], 10) * DESCRIPTOR
        if bytes > MAX_CHUNK then
            local count = ceil(bytes / PAGE)
            m[page + KIND], m[page + COUNT] = BIG, count
            for i = 1, count - 1 do
                m[page + i * DESCRIPTOR + KIND] = REST
            end
            m[FREE_PAGES] = m[FREE_PAGES] - count
        else
            if m[page + KIND] == UNUSED then
                m[page + KIND], m[page + COUNT], m[page + CHAIN] = shift_of(bytes), RESERVED[shift_of(bytes)], 0
                m[FREE_PAGES] = m[FREE_PAGES] - 1
            end
            m[page + COUNT] = m[page + COUNT] + 1
            taken[place] = true
        end
    end
    local run = 0
    for page = TABLE, TABLE + m[PAGES] * DESCRIPTOR - 1, DESCRIPTOR do
        local shift = m[page + KIND]
        if shift == UNUSED then
            run = run + 1
        else
            if run > 0 then
                make_free(m, page - run * DESCRIPTOR, run)
            end
            run = 0
            if shift <= MAX_SHIFT then
                local first = place_of(m, page)
                for i = CHUNKS[shift] - 1, RESERVED[shift], -1 do
                    local place = first + lshift(i, shift - 2)
                    if not taken[place] then
                        m[place] = m[page + CHAIN]
                        m[page + CHAIN] = place
                    end
                end
                m[page + FRESH] = CHUNKS[shift]
                if m[page + COUNT] < CHUNKS[shift] then
                    link_first(m, SLOTS + (shift - MIN_SHIFT) * DESCRIPTOR, page)
                end
            end
        end
    end
    if run > 0 then
        make_free(m, TABLE + (m[PAGES] - run) * DESCRIPTOR, run)
    end
end

-- Whether `bytes` can lie at `place`, as alloc() gives places.
function memory.fits(m, place, bytes)
    local offset = place - m[FIRST]
    if offset < 0 or offset * 4 + bytes > m[PAGES] * PAGE then
        return false
    elseif bytes > MAX_CHUNK then
        return band(offset, PAGE / 4 - 1) == 0
    end
    return band(offset, rshift(lshift(1, shift_of(bytes)), 2) - 1) == 0
end

-- The bytes that can be had without evicting anything: whole pages only, as in nginx.
function memory.free_space(m)
    return m[FREE_PAGES] * PAGE
end

-- A zone of `size` bytes at the address `base`, with a table of hash chains behind it of `chains` entries, a power of two. If the memory
-- is new it is made ready. nil and a message if it can't be used.
function memory.open(base, size, chains)
    local m = ffi.cast("int32_t *", base)
    local zone = { base = base, size = size, m = m, f = ffi.cast("double *", base) }
    zone.h = ffi.cast("int32_t *", base + ceil(size / 8) * 8)
    if m[MAGIC] == READY then
        return zone
    end
    local attributes = ffi.new("pyresty_mutexattr")
    C.pthread_mutexattr_init(attributes)
    C.pthread_mutexattr_setpshared(attributes, PROCESS_SHARED)
    C.pthread_mutexattr_setrobust(attributes, ROBUST)
    C.pthread_mutexattr_settype(attributes, ERRORCHECK)
    local rc = C.pyresty_mutex_init(base, attributes)
    C.pthread_mutexattr_destroy(attributes)
    if rc ~= 0 then
        return nil, "pthread_mutex_init() failed (" .. rc .. ")"
    end
    local pages, first = layout(size)
    m[PAGES], m[FIRST], m[MASK] = pages, first / 4, chains - 1
    clear(m)
    return zone, nil, true
end

-- The zone is ready: another VM that opens it finds it so.
function memory.finish(m)
    m[MAGIC] = READY
end
