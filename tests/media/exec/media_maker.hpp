#pragma once

#include "media/av.hpp"

#include <functional>
#include <string>
#include <vector>

namespace framemill::test {

/// A tiny media file to be made. Each picture shows its number in its upper
/// half as black and white blocks; sound is a steady tone.
struct clip {
  std::string path;
  std::string codec = "libx264"; ///< "" = no video
  int frames = 60;
  int first_number = 0; ///< that the first frame shows
  AVRational fps{25, 1};
  int width = 192, height = 108;
  AVPixelFormat pixels = AV_PIX_FMT_YUV420P;
  int gop = 12, bframes = 2;
  bool open_gop = false;
  AVRational sar{1, 1};
  AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  int rotation = 0;       ///< clockwise degrees to bring it upright
  std::function<std::int64_t(int)> pts; ///< in 1/fps·100; for variable rates
  double sound_seconds = 0;  ///< 0 = none
  double sound_begin = 0;
  double tone = 440;         ///< Hz
  int sample_rate = 48000, channels = 2;
  std::string sound_codec;   ///< "" = the container's
  bool faststart = true;
};

/// Throws std::runtime_error when libav refuses.
void make(const clip& c);

struct shown {
  int number = -1;         ///< read from the blocks
  double seconds = 0;
  std::int64_t pts = 0;
  bool key = false;
  int width = 0, height = 0;
};

/// Decodes a whole file with libav alone.
std::vector<shown> read_video(const std::string& path);
/// The number that a picture shows; the picture must be upright.
int number_of(const AVFrame& frame);
/// Mono samples of the first audio stream, as they are presented.
std::vector<float> read_sound(const std::string& path, int& sample_rate);

} // namespace framemill::test
